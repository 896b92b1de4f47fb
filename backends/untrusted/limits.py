"""Limits on what a job made: how many files and bytes are accepted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from backends.errors import OutputError

OPEN_FILES = 4096  # of one process of an untrusted job
_GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """Limits on what a job returns. ``total`` and ``files`` are for the outputs of the whole job.

    Sizes are in bytes, and sparse files count by their apparent size. ``log`` is how much of a unit's log is kept;
    ``line`` is how much of one line is shown.
    """

    total: int = 20 * 2**30
    files: int = 10_000
    result: int = 4 * 2**20
    log: int = 64 * 2**20
    line: int = 64 * 2**10


class OutputCounter:
    """Counts the outputs of a job as their sizes become known, before their content is read.

    ``folder`` is where the files are written: its disk must have room for each.
    """

    def __init__(self, limits: Limits, folder: Path | None = None) -> None:
        self._limits = limits
        self._folder = folder
        self.files = 0
        self.total = 0

    def add(self, size: int) -> None:
        """Count one more file. Raises OutputError when the job has more files or bytes than its limits or the disk."""
        self.files += 1
        self.total += size
        if self.files > self._limits.files:
            raise OutputError(
                f"the job made more than {self._limits.files} files",
                hint="write fewer, for example one archive of them, or raise --output-files",
            )
        if self.total > self._limits.total:
            raise OutputError(
                f"the outputs of the job are larger than {self._limits.total / _GIB:.4g} GiB",
                hint="raise --output-limit if you expect so much",
            )
        if self._folder and size > (free := shutil.disk_usage(self._folder).free):
            raise OutputError(
                f"no space left on the disk for the outputs: one has {_show(size)}, and {_show(free)} are free",
                hint="free disk space, or choose another --output",
            )


def _show(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / 2**20:.1f} MiB"
