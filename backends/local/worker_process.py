"""The worker of one attempt, as the supervisor sees it: what it prints, which units have ended, and its time limits.

The worker reports on stderr when a unit starts and how it ended. Units have no access to that: their own output is a
pipe to the worker, and neither the worker nor the supervisor lets other processes of this user open its files (see
backends.processes.set_dumpable; a job that runs as root outside a container could).
"""

from __future__ import annotations

import logging
import os
import re
import selectors
import subprocess
import time
from collections.abc import Collection
from contextlib import closing
from typing import IO

from backends.errors import ResultError
from backends.exit_codes import ExitCode
from backends.local.documents import Record
from backends.local.folder import DOCUMENT_BYTES, RESULT_LIMITS, TAIL_BYTES, JobFolder, damaged_result
from backends.problem import Problem
from backends.processes import EndWatch
from backends.untrusted import LineCutter, LogWriter, parse_result
from backends.worker_protocol import ENDED, STARTED, UnitResult

POLL_INTERVAL_S = 0.1  # what the worker prints, and its end, are seen at once
READ_BYTES = 65536
PIPE_BYTES = 2**20  # the most that a pipe holds, unless root makes it larger
# The worker ends a unit at its time limit. If it has not done so after this time, something has stopped the worker.
TIME_LIMIT_MARGIN_S = 15.0
IDLE_TIMEOUT_S = 600.0  # to start, and from one unit to the next
_REPORT = re.compile(rb"(%s|%s)(\d{1,6})(?: (.*))?" % (STARTED, ENDED))
_log = logging.getLogger("backends.local.supervisor")


class WorkerProcess:
    """Follows a worker until it has ended. ``problem`` is set for one that has to be ended.

    ``exit_codes`` are those of the units that have ended, by index, and ``failed`` those of units that failed for good;
    this adds more. A unit with an exit code of ``retried`` has another attempt.
    """

    def __init__(
        self,
        folder: JobFolder,
        record: Record,
        worker: subprocess.Popen[bytes],
        *,
        exit_codes: dict[int, int] | None = None,
        failed: dict[int, int] | None = None,
        retried: Collection[int] = (),
    ) -> None:
        self.worker = worker
        self.problem: Problem | None = None
        self._folder, self._record = folder, record
        self._streams = [stream for stream in (worker.stdout, worker.stderr) if stream]
        self._exit_codes = {} if exit_codes is None else exit_codes
        self._failed = {} if failed is None else failed
        self._retried = retried
        self._running: dict[int, float] = {}  # units, with the time by which they must have ended
        self._heard = time.monotonic()
        self._log = LogWriter(folder.worker_log.open("ab"))
        self._tail = bytearray()
        self._reports = LineCutter(DOCUMENT_BYTES)

    def wait(self) -> bool:
        """Copy what the worker prints until it has ended; return False when it has to be ended."""
        with selectors.DefaultSelector() as selector, closing(EndWatch(self.worker.pid)) as end:
            if end.descriptor is not None:
                selector.register(end.descriptor, selectors.EVENT_READ)
            for stream in self._streams:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, stream)
            while True:
                ended = self.worker.poll() is not None
                for key, _ in selector.select(0 if ended else POLL_INTERVAL_S):
                    if key.data and not self._read(key.data):
                        selector.unregister(key.fileobj)
                if ended:
                    self._finish()
                    return True
                if self._is_late() or self._folder.cancel.exists():
                    return False

    def read_tail(self) -> list[str]:
        """Return the last lines that the worker printed."""
        return self._tail.decode("utf-8", "replace").splitlines()

    def _finish(self) -> None:
        """Copy what is in the pipes. They are not read to their end: another process may have them open."""
        for stream in self._streams:
            for _ in range(PIPE_BYTES // READ_BYTES):
                self._read(stream)
            stream.close()
        self._write(self._reports.finish())
        self._log.close()

    def _read(self, stream: IO[bytes]) -> bool:
        """Take what is there; return False at the end."""
        try:
            data = os.read(stream.fileno(), READ_BYTES)
        except BlockingIOError:
            return True
        if stream is self.worker.stdout:
            self._write(data)
        else:
            for line in self._reports.split(data):
                self._take_line(line)
        return bool(data)

    def _take_line(self, line: bytes) -> None:
        report = _REPORT.fullmatch(line)
        if report is None or int(report[2]) >= len(self._record.units):
            self._write(line + b"\n")
            return
        self._heard = time.monotonic()
        unit = int(report[2])
        if report[1] == STARTED:
            self._running[unit] = self._heard + self._record.timeout + TIME_LIMIT_MARGIN_S
        else:
            self._take_result(unit, report[3])
            self._limit_failures()

    def _take_result(self, unit: int, content: bytes | None) -> None:
        self._running.pop(unit, None)
        name = self._record.units[unit]
        try:
            result = parse_result(content or b"", unit=name, limits=RESULT_LIMITS)
        except ResultError as error:
            result = damaged_result(name, error)
        self._write_result(unit, result)
        if result.exit_code and result.exit_code not in self._retried:
            self._failed[unit] = result.exit_code
        _log.debug("unit %d ended with exit code %d", unit, result.exit_code)

    def _write_result(self, unit: int, result: UnitResult) -> None:
        self._folder.write_result(unit, result)
        self._exit_codes[unit] = result.exit_code

    def _limit_failures(self) -> None:
        """Set ``problem`` if more units have failed than the job allows."""
        most = self._record.max_failed
        if most is not None and len(self._failed) > most:
            unit, code = next(iter(self._failed.items()))
            if self._record.shards:
                result = self._folder.read_results(self._record.units, {unit}).get(unit)
                self.problem = (result and result.error) or Problem(message="a shard failed", exit_code=code)
                return
            message = f"{len(self._failed)} of {len(self._record.units)} failed, and --max-failed allows {most}"
            self.problem = Problem(message=message, exit_code=next(iter(self._failed.values())))

    def _write(self, data: bytes) -> None:
        self._log.write(data)
        self._tail += data
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    def _is_late(self) -> bool:
        """Return whether the worker must be ended: it was stopped, or hangs. A unit that ran so long has failed."""
        now = time.monotonic()
        late = [unit for unit, until in self._running.items() if now > until]
        for unit in late:
            name = self._record.units[unit]
            message = f"{name} took longer than the time limit of {self._record.timeout:g} s"
            problem = Problem(
                message=message,
                hint="raise --timeout, or look in the log for where it hangs",
                exit_code=ExitCode.TIMEOUT,
            )
            self._write_result(unit, UnitResult(unit=name, exit_code=ExitCode.TIMEOUT, error=problem))
            self.problem = problem
        if not self._running and now - self._heard > IDLE_TIMEOUT_S:
            message = f"the worker did not start a unit within {IDLE_TIMEOUT_S:.0f} s"
            self.problem = Problem(message=message, exit_code=ExitCode.LOST)
        return self.problem is not None
