"""The supervisor: watches over one local job after the command that submitted it has ended.

``python -I -m backends.local.supervisor FOLDER``
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from backends import debug_log
from backends.errors import SpecError
from backends.exit_codes import ExitCode
from backends.local.folder import Ended, JobFolder, now, read_tail
from backends.models import JobState
from backends.problem import Problem
from backends.processes import adopt_orphans, die_with_parent, end_children, signal_name
from backends.worker_protocol import RESULT, RETRIED, UnitResult, worker_command

WORKER_END_TIMEOUT_S = 0.9  # the worker ends its own children within it; then everything is killed
POLL_INTERVAL_S = 0.05
CONTAINER_SIGNAL_BASE = 128  # a container's exit code above it means that a signal ended it
CONTAINER_NOT_STARTED = frozenset({125, 126, 127})  # exit codes of `docker run` itself
_log = logging.getLogger("backends.local.supervisor")  # as a program its __name__ is "__main__"


class _Stopped(BaseException):
    """SIGTERM has arrived."""


def main() -> None:
    """Run the job in the folder that the first argument names until it has ended."""
    with suppress(SpecError):  # it names no level, which is no reason to lose the job
        debug_log.configure(debug_log.level_from_environment())
    signal.signal(signal.SIGTERM, _stop)
    adopt_orphans()
    folder = JobFolder(Path(sys.argv[1]))
    supervisor = Supervisor(folder)
    try:
        ended = supervisor.run()
    except _Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.end_worker()
        ended = _describe_stop(folder)
    _log.debug("the job has ended: %s", ended)
    folder.write_end(ended)


def _describe_stop(folder: JobFolder) -> Ended:
    if folder.cancel.exists():
        return Ended(state=JobState.CANCELLED, finished=now())
    message = "the job was told to stop by SIGTERM, as when this machine shuts down"
    problem = Problem(message=message, exit_code=ExitCode.LOST)
    return Ended(state=JobState.FAILED, finished=now(), problem=problem)


class Supervisor:
    """Starts the worker, again after infrastructure failures, and finds out how the job ended."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.record = folder.read_record()
        self.launcher = folder.read_launcher()
        self.worker: subprocess.Popen[bytes] | None = None

    def run(self) -> Ended:
        """Run the worker until every unit has succeeded, failed for good, or used up its attempts."""
        attempt = 0
        while True:
            attempt += 1
            self.folder.attempt.write_text(str(attempt))
            code = self._run_worker(self._remaining_units())
            if not self._remaining_units() or attempt > self.record.retries:
                return self._describe_end(attempt, code)

    def end_worker(self) -> None:
        """Ask the worker to stop, then kill what is left."""
        if self.worker is None:
            return
        with suppress(ProcessLookupError):
            self.worker.terminate()
            deadline = time.monotonic() + WORKER_END_TIMEOUT_S
            while self.worker.poll() is None and time.monotonic() < deadline:
                time.sleep(POLL_INTERVAL_S)
        self._clean_up()

    def _remaining_units(self) -> list[int]:
        """Return the units that deserve an attempt: without a result, or failed for a reason that may pass."""
        results = self._read_results()
        return [unit for unit, result in enumerate(results) if result is None or result.exit_code in RETRIED]

    def _read_results(self) -> list[UnitResult | None]:
        return [UnitResult.read(self.folder.unit(unit) / RESULT) for unit in range(len(self.record.units))]

    def _run_worker(self, units: list[int]) -> int:
        """Run the worker for these units; return its exit code, negative for a signal."""
        for unit in units:
            (self.folder.unit(unit) / RESULT).unlink(missing_ok=True)  # of an earlier attempt
        self.folder.scratch.mkdir(exist_ok=True)
        with self.folder.worker_log.open("ab") as log, _short_name(self.folder.scratch) as scratch:
            environment = {**os.environ, "TMPDIR": str(scratch)}
            environment |= json.loads(self.folder.environment.read_bytes())
            supervisor = os.getpid()
            # `docker run` passes SIGTERM on to the container
            orphan_signal = signal.SIGTERM if self.launcher.prefix else signal.SIGKILL
            self.worker = subprocess.Popen(
                [*self.launcher.prefix, *self._worker_command(units)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(supervisor, orphan_signal),  # noqa: PLW1509  # there is one thread
            )
            _log.debug("started worker %d for units %s", self.worker.pid, units)
            code = self.worker.wait()
            _log.debug("worker %d ended with exit code %d", self.worker.pid, code)
            self._clean_up()
        return code

    def _worker_command(self, units: list[int]) -> list[str]:
        root = self.launcher.root
        return worker_command(
            self.launcher.python,
            task=f"{root}/{self.folder.task.name}",
            bundle=f"{root}/{self.folder.bundle.name}",
            output=f"{root}/{self.folder.units.name}",
            units=units,
        )

    def _clean_up(self) -> None:
        """End what the worker left behind: it ends its own children, unless it is killed itself."""
        end_children()
        if self.launcher.end:
            subprocess.run(self.launcher.end, capture_output=True, check=False)

    def _describe_end(self, attempts: int, code: int) -> Ended:
        results = self._read_results()
        if all(result and not result.exit_code for result in results):
            return Ended(state=JobState.SUCCEEDED, finished=now(), attempts=attempts)
        problem = self._find_problem(results, code)
        return Ended(state=JobState.FAILED, finished=now(), attempts=attempts, problem=problem)

    def _find_problem(self, results: list[UnitResult | None], code: int) -> Problem:
        if None in results:  # units that the worker did not come to: more important than those that failed
            return self._describe_worker_failure(code)
        failed = next(result for result in results if result and result.exit_code)
        return failed.error or Problem(message=f"{failed.unit} failed", exit_code=failed.exit_code)

    def _describe_worker_failure(self, code: int) -> Problem:
        if code < 0:
            return Problem(message=f"the worker was ended by {signal_name(-code)}", exit_code=ExitCode.LOST)
        if self.launcher.prefix and code > CONTAINER_SIGNAL_BASE:
            name = signal_name(code - CONTAINER_SIGNAL_BASE)
            return Problem(message=f"the container was ended by {name}", exit_code=ExitCode.LOST)
        printed = [line for line in read_tail(self.folder.worker_log) if line.strip()]
        if self.launcher.prefix and code in CONTAINER_NOT_STARTED:
            why = printed[-1] if printed else f"exit code {code}"
            return Problem(message=f"the container did not start: {why}", exit_code=ExitCode.BACKEND)
        known = ExitCode(code) if code in set(ExitCode) else ExitCode.INTERNAL
        last = printed[-1].removeprefix("openjd_fail: ") if printed else "it printed nothing"
        message = last if known is not ExitCode.INTERNAL else f"the worker failed: {last}"
        return Problem(message=message, exit_code=known)


@contextmanager
def _short_name(folder: Path) -> Iterator[Path]:
    """Yield a short path to the folder, since a socket's path has at most 107 bytes; the long one if need be."""
    with ExitStack() as stack:
        try:
            link = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="r-"))) / "t"
            link.symlink_to(folder)
        except OSError:
            link = folder
        yield link


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stopped


if __name__ == "__main__":
    main()
