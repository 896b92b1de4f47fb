"""Prints the checks of this machine, or of a backend."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from backends.diagnostics import Check, State
from backends.exit_codes import ExitCode
from backends.untrusted import show_text

_MARKS: Mapping[State, str] = {"ok": "✓", "warning": "!", "failure": "✗"}


def print_report(checks: Iterable[Check], *, as_json: bool) -> ExitCode:
    """Print the checks to stdout: each as soon as it is known, or all as one JSON document at the end.

    Return BACKEND if a check failed, otherwise OK; a warning is not a failure.
    """
    seen = []
    for check in checks:
        seen.append(check)
        if not as_json:
            sys.stdout.write(_format_check(check))
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps([asdict(check) for check in seen], ensure_ascii=False) + "\n")
    return ExitCode.BACKEND if any(check.state == "failure" for check in seen) else ExitCode.OK


def _format_check(check: Check) -> str:
    hint = "" if check.todo is None else f"    → {show_text(check.todo)}\n"
    return f"{_MARKS[check.state]} {check.name:<12} {show_text(check.found)}\n{hint}"
