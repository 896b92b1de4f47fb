"""The result of one check by ``renderer doctor``, for every backend and this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Check:
    """What was checked (``name``), the state, what was found, and, unless the state is ok, what to do about it."""

    name: str
    state: State
    found: str
    todo: str | None = None
