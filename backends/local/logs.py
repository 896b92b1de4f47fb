"""Reads and follows the logs of a local job's units."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.local.folder import JobFolder
from backends.models import LogLine

POLL_INTERVAL_S = 0.1


def read_logs(folder: JobFolder, units: int, *, follow: bool, is_running: Callable[[], bool]) -> Iterator[LogLine]:
    """Yield the lines that are there, unit by unit; with ``follow`` go on while ``is_running``."""
    readers = [_Reader(folder.log(unit), unit) for unit in range(units)]
    while True:
        more_may_come = follow and is_running()
        for reader in readers:
            yield from reader.read_lines(last=not more_may_come)
        if not more_may_come:
            return
        time.sleep(POLL_INTERVAL_S)


class _Reader:
    """Reads whole lines of a file that grows."""

    def __init__(self, path: Path, unit: int) -> None:
        self.path = path
        self.unit = unit
        self.offset = 0

    def read_lines(self, *, last: bool) -> Iterator[LogLine]:
        """Yield new lines; a line without its newline only when nothing more will come (``last``)."""
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            if stream.seek(0, 2) < self.offset:
                self.offset = 0  # a new attempt has begun the log again
            stream.seek(self.offset)
            for line in stream:
                if not line.endswith(b"\n") and not last:
                    return
                self.offset += len(line)
                yield LogLine(self.unit, line.decode("utf-8", "replace").rstrip("\r\n"))
