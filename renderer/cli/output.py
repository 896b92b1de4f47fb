"""Formats statuses as lines for people and as JSON for programs."""

from __future__ import annotations

import json
from datetime import datetime

from backends import JobState, JobStatus, UnitStatus

_MARKS = {
    JobState.PENDING: "…",
    JobState.RUNNING: "▶",
    JobState.SUCCEEDED: "✓",
    JobState.FAILED: "✗",
    JobState.CANCELLED: "■",
}


def print_json(content: object) -> None:
    """Print a JSON document on one line."""
    print(json.dumps(content, ensure_ascii=False))


def status_json(status: JobStatus) -> dict[str, object]:
    """Return a status as a JSON object; times are ISO 8601 in UTC, progress is in percent."""
    return {
        "handle": str(status.handle),
        "name": status.name,
        "state": status.state.value,
        "reason": status.reason,
        "hint": status.hint,
        "exit_code": status.exit_code,
        "created": _time(status.created),
        "finished": _time(status.finished),
        "notes": list(status.notes),
        "units": [_unit_json(unit) for unit in status.units],
    }


def status_lines(status: JobStatus) -> list[str]:
    """Return a status as lines of text: the job, why it waits or failed, and each unit."""
    lines = [f"{_MARKS[status.state]} {status.handle}  {status.state}"]
    if status.reason and not any(status.reason in (unit.message or "") for unit in status.units):
        lines.append(f"  {status.reason}")
    lines += [f"  {note}" for note in status.notes]
    for unit in status.units:
        lines += [f"  {line}" for line in unit_lines(unit)]
    if status.hint:
        lines.append(f"  → {status.hint}")
    return lines


def unit_lines(unit: UnitStatus) -> list[str]:
    """Return a unit as lines of text; an error with the lines of the user's own code."""
    percent = f"  {unit.progress:.0f} %" if unit.progress is not None and not unit.state.terminal else ""
    lines = [f"{_MARKS[unit.state]} {unit.name}  {unit.state}{percent}"]
    if unit.message and unit.state is JobState.RUNNING:
        lines[0] += f"  {unit.message}"
    elif unit.message:
        lines.append(f"    {unit.message}")
    lines += [f"      {line}" for line in (unit.details or "").splitlines()]
    if unit.hint:
        lines.append(f"    → {unit.hint}")
    return lines


def _unit_json(unit: UnitStatus) -> dict[str, object]:
    return {
        "name": unit.name,
        "state": unit.state.value,
        "progress": unit.progress,
        "message": unit.message,
        "hint": unit.hint,
        "details": unit.details,
        "exit_code": unit.exit_code,
        "attempt": unit.attempt,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
