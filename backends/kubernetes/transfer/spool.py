"""The folder on this machine that keeps a job's downloaded outputs until they are fetched."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from backends.files import state_folder
from backends.kubernetes import names
from backends.kubernetes.objects.job import Job
from backends.models import JobHandle
from backends.output_stream import list_files
from backends.untrusted import Limits
from backends.untrusted.file_lock import try_lock

KEEP_S = 7 * 86400


class Spool:
    """The outputs of one job on this machine. The folder exists if the job was submitted or fetched here."""

    def __init__(self, handle: JobHandle, job: Job) -> None:
        parts = (*handle.parts, job.uid)  # a Job that replaces another one of the same name has different outputs
        self.path = state_folder(names.BACKEND) / ",".join(quote(part, safe="") for part in parts)

    @property
    def exists(self) -> bool:
        """Whether this machine downloads the outputs of the job."""
        return self.path.is_dir()

    def create(self) -> None:
        """Create the folder, so that this machine downloads the job's outputs. Remove folders that are a week old."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in self.path.parent.iterdir():
            with suppress(OSError):
                if other != self.path and time.time() - other.stat().st_mtime > KEEP_S:
                    shutil.rmtree(other, ignore_errors=True)

    def unit_folder(self, unit: int) -> Path:
        """Return the folder of a unit's files. It does not exist until all files are downloaded."""
        return self.path / str(unit)

    def remaining(self, limits: Limits) -> Limits:
        """Return what is left of the limits of the job, beside the units that are here already."""
        units = [path for path in self.path.iterdir() if path.name.isdecimal()]
        sizes = [size for unit in units for _, size in list_files(unit, limits)]
        return replace(limits, total=limits.total - sum(sizes), files=limits.files - len(sizes))

    def delete(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def lock(self, unit: int) -> Iterator[bool]:
        """Lock a unit during the block, so that only one process downloads it. Yields False if another one has it."""
        with (self.path / f"{unit}.lock").open("wb") as file:
            yield try_lock(file.fileno())
