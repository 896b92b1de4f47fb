"""Modal gives logs in pieces of any size, of all containers together."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from backends import LogLine
from backends.modal.observe.logs import join_lines
from backends.untrusted import Limits


@dataclass
class Entry:
    message: str
    source: str = "stdout"
    context_ids: list[str] = field(default_factory=lambda: ["in-1", "ta-1"])


@given(st.lists(st.integers(1, 7), max_size=60))
def test_lines_are_put_together_from_chunks(sizes: list[int]) -> None:
    text = "3| first\n3| \n3| é ✓ | x\n3| no newline"
    chunks, rest = [], text
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    found = list(join_lines([Entry(chunk) for chunk in [*chunks, rest]], 4, Limits()))
    assert found == [LogLine(3, "first"), LogLine(3, ""), LogLine(3, "é ✓ | x"), LogLine(3, "no newline")]


def test_chunks_of_two_containers_do_not_mix() -> None:
    one, two = ["in-1", "ta-1"], ["in-2", "ta-2"]
    entries = [
        Entry("0| half", context_ids=one),
        Entry("1| whole\n", context_ids=two),
        Entry(" a line\n", context_ids=one),
    ]
    assert list(join_lines(entries, 2, Limits())) == [LogLine(1, "whole"), LogLine(0, "half a line")]


def test_what_modal_itself_says_goes_to_the_unit_of_that_container() -> None:
    said = Entry("the container was preempted\n", source="system", context_ids=["in-2", "ta-2"])
    entries = [Entry("1| line\n", context_ids=["in-2", "ta-2"]), said]
    assert list(join_lines(entries, 2, Limits()))[1] == LogLine(1, "the container was preempted")
