"""Formats statuses as lines for people and as JSON for programs.

Control characters in a job's text are visible, and it never looks like our own advice, which begins with an arrow.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from backends import JobState, JobStatus, UnitStatus
from backends.untrusted.text import is_control, show_line
from renderer.cli.encoding import can_print

MOST_UNITS = 20  # more units than this are counted, and only some are shown
MOST_FAILED, MOST_RUNNING = 10, 3  # of so many units

_MARKS = {
    JobState.PENDING: "…",
    JobState.RUNNING: "▶",
    JobState.SUCCEEDED: "✓",
    JobState.FAILED: "✗",
    JobState.CANCELLED: "■",
}


def print_json(content: object) -> None:
    """Print a JSON document on one line, with control characters as JSON's escapes."""
    text = json.dumps(content, ensure_ascii=False)
    if not can_print(text):
        text = json.dumps(content)
    if text.isprintable():
        print(text)
        return
    print("".join(json.dumps(char)[1:-1] if is_control(char) else char for char in text))


def print_message(text: str) -> None:
    """Print text for people on stderr. It is no error if nobody reads it any more: the command goes on."""
    with suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def show_job_text(text: str) -> str:
    """Return one line of a job's text, in which control characters are visible and which begins with no arrow."""
    shown = show_line(text)
    return shown.replace("→", "->", 1) if shown.lstrip().startswith("→") else shown


def hint_lines(hint: str | None, *, from_job: bool = False) -> list[str]:
    """Return a hint as it is shown below what it helps with, in one line or none."""
    return [f"{'the job says:' if from_job else '→'} {show_line(hint)}"] if hint else []


def status_json(status: JobStatus, *, summary: bool = False) -> dict[str, object]:
    """Return a status as a JSON object; times are ISO 8601 in UTC, progress is in percent.

    With ``summary`` it has the number of units in place of the units.
    """
    counts = dataclasses.asdict(status.counts)
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
        "units": counts if summary else [_unit_json(unit) for unit in status.units],
    }


def status_lines(status: JobStatus) -> list[str]:
    """Return a status as lines of text: the job, why it waits or failed, and each unit."""
    lines = [f"{_MARKS[status.state]} {status.handle}  {status.state}"]
    shown = list(_choose_units(status))
    if status.reason and not any(status.reason in (unit.message or "") for unit in shown):
        lines.append(f"  {show_job_text(status.reason)}")
    lines += [f"  {show_job_text(note)}" for note in status.notes]
    for unit in shown:
        lines += [f"  {line}" for line in unit_lines(unit)]
    if len(status.units) > MOST_UNITS:
        lines.append(f"  {count_line(status)}")
    return lines + [f"  {line}" for line in hint_lines(status.hint)]


def count_line(status: JobStatus) -> str:
    """Return how many units have ended, and how: ``900 of 1000 ended: 898 succeeded, 2 failed``."""
    counts = Counter(unit.state for unit in status.units)
    ended = sum(count for state, count in counts.items() if state.terminal)
    by_state = ", ".join(f"{counts[state]} {state}" for state in JobState if counts[state] and state.terminal)
    return f"{ended} of {len(status.units)} ended" + (f": {by_state}" if by_state else "")


def _choose_units(status: JobStatus) -> Iterator[UnitStatus]:
    """Yield the units to show: all, or of many the first that failed and the first that run."""
    if len(status.units) <= MOST_UNITS:
        yield from status.units
        return
    for state, most in ((JobState.FAILED, MOST_FAILED), (JobState.RUNNING, MOST_RUNNING)):
        yield from itertools.islice((unit for unit in status.units if unit.state is state), most)


def unit_lines(unit: UnitStatus) -> list[str]:
    """Return a unit as lines of text; an error with the lines of the user's own code."""
    percent = f"  {unit.progress:.0f} %" if unit.progress is not None and not unit.state.terminal else ""
    lines = [f"{_MARKS[unit.state]} {show_line(unit.name)}  {unit.state}{percent}"]
    if unit.message and unit.state is JobState.RUNNING:
        lines[0] += f"  {show_job_text(unit.message)}"
    elif unit.message:
        lines.append(f"    {show_job_text(unit.message)}")
    lines += [f"      {show_job_text(line)}" for line in (unit.details or "").splitlines()]
    return lines + [f"    {line}" for line in hint_lines(unit.hint, from_job=unit.from_job)]


def _unit_json(unit: UnitStatus) -> dict[str, object]:
    return {
        "name": unit.name,
        "state": unit.state.value,
        "progress": unit.progress,
        "message": unit.message,
        "hint": unit.hint,
        "from_job": unit.from_job,
        "details": unit.details,
        "exit_code": unit.exit_code,
        "attempt": unit.attempt,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
