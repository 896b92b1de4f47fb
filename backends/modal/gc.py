"""Removes what old jobs left at Modal: outputs of jobs nobody deleted, and inputs that no job has used lately."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from backends.modal.backend import ModalBackend

DAY_S = 86400.0


@dataclass(frozen=True)
class Garbage:
    """Something on the volume that is old: ``path`` there, size in bytes, age in days."""

    path: str
    size: int
    days: float


def find(backend: ModalBackend, days: float) -> Iterator[Garbage]:
    """Name what is older than so many days and belongs to no job that still runs."""
    list(backend.list())  # what has ended is seen to have ended
    running = [record for record in backend.records.newest_first() if record.open]
    kept = {path for record in running for path in (f"jobs/{record.call}", *record.inputs)}
    newest: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for folder in ("jobs", "inputs", "withdrawn"):
        for entry in backend.files.list(folder):
            path = "/".join(entry.path.strip("/").split("/")[:2])
            newest[path] = max(newest.get(path, 0.0), entry.mtime)
            sizes[path] = sizes.get(path, 0) + entry.size
    for path, moment in sorted(newest.items()):
        age = (time.time() - moment) / DAY_S
        if age >= days and path not in kept:
            yield Garbage(path, sizes[path], age)


def remove(backend: ModalBackend, garbage: Garbage) -> None:
    """Remove it, and the record of the job that it was."""
    backend.files.remove(garbage.path)
    if garbage.path.startswith("jobs/"):
        backend.records.remove(garbage.path.removeprefix("jobs/"))
