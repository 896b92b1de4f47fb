"""What a doctor says of one thing, on every backend and of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, what was found, and what to do when it is not as it should be."""

    name: str
    state: State
    found: str
    todo: str | None = None
