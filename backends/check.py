"""What a doctor says of one thing that a backend needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, what was found, and what to do when it is not as it should be."""

    name: str
    state: Literal["ok", "warning", "failure"]
    found: str
    todo: str | None = None
