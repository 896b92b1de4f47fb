"""Reads and follows the logs of a local job's units."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from backends.local.folder import JobFolder
from backends.models import LogLine
from backends.untrusted import Limits, LineCutter

POLL_INTERVAL_S = 0.1
READ_BYTES = 65536
MAX_BYTES = Limits().log + 2**20  # the worker's limit, plus space for the lines that it adds


def read_logs(folder: JobFolder, units: int, *, follow: bool, is_running: Callable[[], bool]) -> Iterator[LogLine]:
    """Yield the lines of the logs, unit by unit. With ``follow``, wait for new ones while ``is_running()`` is true."""
    readers = [_Reader(folder, unit) for unit in range(units)]
    while True:
        more_may_come = follow and is_running()
        for reader in readers:
            yield from reader.read_lines(last=not more_may_come)
        if not more_may_come:
            return
        time.sleep(POLL_INTERVAL_S)


class _Reader:
    """Reads the lines of a log that grows. It stops at MAX_BYTES, in case the job itself writes to the log."""

    def __init__(self, folder: JobFolder, unit: int) -> None:
        self.folder = folder
        self.unit = unit
        self.offset = 0
        self.lines = LineCutter()

    def read_lines(self, *, last: bool) -> Iterator[LogLine]:
        """Yield the new lines. A line without a newline is yielded only if the log is complete (``last``)."""
        log = self.folder.open_log(self.unit)
        if log is None:
            return
        with log:
            if log.seek(0, os.SEEK_END) < self.offset:
                self.offset = 0  # somebody else has begun the log again
            log.seek(self.offset)
            while self.offset < MAX_BYTES and (data := log.read(READ_BYTES)):
                self.offset += len(data)
                yield from map(self._make_line, self.lines.split(data))
        if last and (rest := self.lines.finish()):
            yield self._make_line(rest)

    def _make_line(self, line: bytes) -> LogLine:
        return LogLine(self.unit, line.decode("utf-8", "replace").rstrip("\r"))
