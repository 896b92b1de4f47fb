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
from backends.untrusted.trees import remove_tree

KEEP_S = 7 * 86400
LOCK_INTERVAL_S = 0.05


class Spool:
    """The outputs of one job on this machine. The folder exists if the job was submitted or fetched here."""

    def __init__(self, handle: JobHandle, job: Job) -> None:
        parts = (*handle.parts, job.uid)  # a Job that replaces another one of the same name has different outputs
        self.handle, self._job = handle, job
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

    def read_source(self, index: int) -> str | None:
        """Return the name of the pod of a completion index whose outputs are here; None if there are none."""
        with suppress(OSError):
            return self._source(index).read_text("utf-8")
        return None

    def accept(self, index: int, pod: str, folder: Path) -> None:
        """Take the outputs of a pod, which are in folders of its units, in place of those of an earlier attempt.

        Whatever else the pod has sent is removed.
        """
        for unit in self._job.units_of(index):
            if (new := folder / str(unit)).is_dir():
                if (old := self.unit_folder(unit)).exists():
                    remove_tree(old)
                new.rename(old)
        self._source(index).write_text(pod, "utf-8")
        remove_tree(folder)

    def _source(self, index: int) -> Path:
        return self.path / f"{index}.from"

    def remaining(self, limits: Limits) -> Limits:
        """Return what is left of the limits of the job, beside the units that are here already."""
        units = [path for path in self.path.iterdir() if path.name.isdecimal()]
        sizes = [size for unit in units for _, size in list_files(unit, limits)]
        return replace(limits, total=limits.total - sum(sizes), files=limits.files - len(sizes))

    def delete(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def lock(self, index: int) -> Iterator[bool]:
        """Lock a completion index during the block, so that only one process downloads from its pod.

        Yields False if another process has it.
        """
        with (self.path / f"{index}.lock").open("wb") as file:
            yield try_lock(file.fileno())

    @contextmanager
    def wait_lock(self, name: str) -> Iterator[None]:
        """Hold a lock of this name during the block, after waiting for it."""
        with (self.path / f"{name}.lock").open("wb") as file:
            while not try_lock(file.fileno()):
                time.sleep(LOCK_INTERVAL_S)
            yield
