"""One line of the doctor's report, and how the report looks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from backends.exit_codes import ExitCode

State = Literal["ok", "warning", "failure"]
_MARKS: Mapping[State, str] = {"ok": "✓", "warning": "!", "failure": "✗"}


@dataclass(frozen=True)
class Line:
    """What was looked at, how it is, what was found, and what to do when it is not as it should be."""

    name: str
    state: State
    found: str
    todo: str | None = None

    def __str__(self) -> str:
        text = f"{_MARKS[self.state]} {self.name:<12} {self.found}"
        return text if self.todo is None else f"{text}\n    → {self.todo}"


def show(lines: Iterable[Line], *, as_json: bool) -> list[Line]:
    """Write the report to stdout: a line as soon as it is known, or one JSON document at the end."""
    seen = []
    for line in lines:
        seen.append(line)
        if not as_json:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps([asdict(line) for line in seen], ensure_ascii=False) + "\n")
    return seen


def exit_code(lines: Iterable[Line]) -> ExitCode:
    """Give OK unless something failed; warnings are no failures."""
    return ExitCode.BACKEND if any(line.state == "failure" for line in lines) else ExitCode.OK
