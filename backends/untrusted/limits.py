"""How much of what a job made is accepted."""

from __future__ import annotations

from dataclasses import dataclass

from backends.errors import OutputError
from backends.option_types import format_size


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on what a job gives back. ``total`` and ``files`` are for the outputs of the whole job.

    Sizes are in bytes, and sparse files count by their apparent size. ``log`` is how much of a unit's log is kept;
    ``line`` is how much of one line is shown.
    """

    total: int = 20 * 2**30
    files: int = 10_000
    result: int = 4 * 2**20
    log: int = 64 * 2**20
    line: int = 64 * 2**10


class OutputCounter:
    """Counts the outputs of a job as their sizes become known, before their content is read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.files = 0
        self.total = 0

    def add(self, size: int) -> None:
        """Count one more file. Raises OutputError when the job has more files or bytes than its limits."""
        self.files += 1
        self.total += size
        if self.files > self._limits.files:
            raise OutputError(
                f"the job made more than {self._limits.files} files",
                hint="raise --output-files if you expect so many",
            )
        if self.total > self._limits.total:
            raise OutputError(
                f"the outputs of the job are larger than {format_size(self._limits.total // 2**20)}",
                hint="raise --output-limit if you expect so much",
            )
