"""Reads and follows the logs of a local job's units."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.local.folder import JobFolder
from backends.models import LogLine

POLL_S = 0.1


def read_logs(folder: JobFolder, units: int, *, follow: bool, running: Callable[[], bool]) -> Iterator[LogLine]:
    """Yield the lines that are there, unit by unit; with ``follow`` go on while ``running``."""
    readers = [_Reader(folder.log(unit), unit) for unit in range(units)]
    while True:
        goes_on = follow and running()
        for reader in readers:
            yield from reader.lines(last=not goes_on)
        if not goes_on:
            return
        time.sleep(POLL_S)


class _Reader:
    """Reads whole lines of a growing file."""

    def __init__(self, path: Path, unit: int) -> None:
        self.path = path
        self.unit = unit
        self.offset = 0

    def lines(self, *, last: bool) -> Iterator[LogLine]:
        """Yield what is new; a line without its end only when it is the ``last`` look."""
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            if stream.seek(0, 2) < self.offset:
                self.offset = 0  # a new try has begun the log again
            stream.seek(self.offset)
            for line in stream:
                if not line.endswith(b"\n") and not last:
                    return
                self.offset += len(line)
                yield LogLine(self.unit, line.decode("utf-8", "replace").rstrip("\r\n"))
