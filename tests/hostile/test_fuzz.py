"""Each format that comes from a job, with random damage. `make fuzz` does it for longer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from support.fuzz.damage import damaged
from support.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_texts_of_a_job_break_no_promise(name: str) -> None:
    target, seeds = TARGETS[name]

    @settings(max_examples=50)
    @given(data=damaged(seeds))
    def attempt(data: bytes) -> None:
        target(data)

    attempt()
