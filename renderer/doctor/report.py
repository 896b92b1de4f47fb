"""How a doctor's report looks, of this machine and of every backend."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from backends.diagnostics import Check, State
from backends.exit_codes import ExitCode

_MARKS: Mapping[State, str] = {"ok": "✓", "warning": "!", "failure": "✗"}


def report(checks: Iterable[Check], *, as_json: bool) -> ExitCode:
    """Write the checks to stdout: each as soon as it is known, or one JSON document at the end.

    Gives OK unless one failed; warnings are no failures.
    """
    seen = []
    for check in checks:
        seen.append(check)
        if not as_json:
            sys.stdout.write(_written(check))
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps([asdict(check) for check in seen], ensure_ascii=False) + "\n")
    return ExitCode.BACKEND if any(check.state == "failure" for check in seen) else ExitCode.OK


def _written(check: Check) -> str:
    todo = "" if check.todo is None else f"    → {check.todo}\n"
    return f"{_MARKS[check.state]} {check.name:<12} {check.found}\n{todo}"
