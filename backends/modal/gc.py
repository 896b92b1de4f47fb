"""Removes what old jobs left at Modal: outputs of jobs nobody deleted, and inputs that no job has used lately."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from backends.modal import calls
from backends.modal.backend import ModalBackend
from backends.modal.call_store import Record

DAY_S = 86400.0
WAIT_DAYS = 30.0  # inputs older than seven days are sent again: a job would have to wait for 23


@dataclass(frozen=True)
class Garbage:
    """Something on the volume that is old: ``path`` there, size in bytes, age in days."""

    path: str
    size: int
    days: float


def find(backend: ModalBackend, days: float) -> Iterator[Garbage]:
    """Name what is older than so many days and belongs to no job that still runs, whichever machine submitted it.

    Modal cannot tell which jobs wait for their first container, so inputs and marks stay for WAIT_DAYS at least.
    """
    newest: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for folder in ("jobs", "inputs", "withdrawn"):
        for entry in backend.files.list(folder):
            path = "/".join(entry.path.strip("/").split("/")[:2])
            newest[path] = max(newest.get(path, 0.0), entry.mtime)
            sizes[path] = sizes.get(path, 0) + entry.size
    kept = _kept(backend, [path.removeprefix("jobs/") for path in newest if path.startswith("jobs/")])
    for path, moment in sorted(newest.items()):
        folder, age = path.partition("/")[0], (time.time() - moment) / DAY_S
        least = days if folder == "jobs" else max(days, WAIT_DAYS)
        if age >= least and not kept & {path, folder}:
            yield Garbage(path, sizes[path], age)


def _kept(backend: ModalBackend, found: list[str]) -> set[str]:
    """Name what jobs need that still run: those submitted here, and of the calls ``found`` those that run at Modal."""
    list(backend.list())  # what has ended is seen to have ended
    running = [record for record in backend.records.newest_first() if record.open]
    kept = {path for record in running for path in (f"jobs/{record.call}", *record.inputs)}
    for call in found:
        if not backend.records.load(call) and _runs(backend, call):
            content = backend.files.read(f"jobs/{call}/job.json")
            kept |= {f"jobs/{call}", *(Record.from_json(content).inputs if content else ["inputs"])}
    return kept


def _runs(backend: ModalBackend, call: str) -> bool:
    is_call = call.startswith("fc-") and call.removeprefix("fc-").isalnum()
    return is_call and "PENDING" in calls.input_states(backend.session, call)


def remove(backend: ModalBackend, garbage: Garbage) -> bool:
    """Remove it, and the record of the job that it was; false when it was sent again since it was found."""
    if any((time.time() - entry.mtime) / DAY_S < garbage.days for entry in backend.files.list(garbage.path)):
        return False
    backend.files.remove(garbage.path)
    if garbage.path.startswith("jobs/"):
        backend.records.remove(garbage.path.removeprefix("jobs/"))
    return True
