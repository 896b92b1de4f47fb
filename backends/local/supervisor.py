"""Watches over one local job when the command that submitted it has gone.

``python -I -m backends.local.supervisor FOLDER``
"""

from __future__ import annotations

import json
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

from backends.exit_codes import ExitCode
from backends.local.folder import Ended, JobFolder, now, read_tail
from backends.models import JobState
from backends.processes import adopt_orphans, die_with_parent, end_children, signal_name
from backends.worker_protocol import RESULT, UnitResult, worker_command

GRACE_S = 0.9  # the worker ends its children within it; what is left is killed
POLL_S = 0.05
SIGNALLED = 128  # a container's exit code beyond it is a signal
NOT_STARTED = frozenset({125, 126, 127})  # exit codes of `docker run` itself
RETRIED = frozenset({ExitCode.INTERNAL, ExitCode.TRANSIENT, ExitCode.LOST, ExitCode.TERMINATED})


class _Stopped(BaseException):
    pass


def main() -> None:
    """Run the job of the folder given as argument to its end."""
    signal.signal(signal.SIGTERM, _stop)
    adopt_orphans()
    folder = JobFolder(Path(sys.argv[1]))
    supervisor = Supervisor(folder)
    try:
        ended = supervisor.run()
    except _Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.end_worker()
        if folder.cancel.exists():
            ended = Ended(state=JobState.CANCELLED, finished=now(), exit_code=ExitCode.CANCELLED)
        else:
            reason = "the job was told to stop by SIGTERM, as when this machine shuts down"
            ended = Ended(state=JobState.FAILED, finished=now(), exit_code=ExitCode.LOST, reason=reason)
    folder.end(ended)


class Supervisor:
    """Starts the worker, again after failures that are not the user's, and says how the job ended."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.record = folder.record()
        self.launcher = folder.launcher()
        self.worker: subprocess.Popen[bytes] | None = None

    def run(self) -> Ended:
        """Run every unit until it has succeeded, failed for good, or used up its tries."""
        attempts = 0
        while True:
            attempts += 1
            self.folder.attempt.write_text(str(attempts))
            code = self._run_worker(self._left())
            if not self._left() or attempts > self.record.retries:
                return self._ended(attempts, code)

    def end_worker(self) -> None:
        """Ask the worker to stop, then end what is left."""
        if self.worker is None:
            return
        with suppress(ProcessLookupError):
            self.worker.terminate()
            deadline = time.monotonic() + GRACE_S
            while self.worker.poll() is None and time.monotonic() < deadline:
                time.sleep(POLL_S)
        self._end_rest()

    def _left(self) -> list[int]:
        """Give the units that are worth a try: those without a result, or failed for a reason that may pass."""
        results = self._results()
        return [unit for unit, result in enumerate(results) if result is None or result.exit_code in RETRIED]

    def _results(self) -> list[UnitResult | None]:
        return [UnitResult.read(self.folder.unit(unit) / RESULT) for unit in range(len(self.record.units))]

    def _run_worker(self, units: list[int]) -> int:
        root = self.launcher.root
        worker = worker_command(
            self.launcher.python,
            task=f"{root}/{self.folder.task.name}",
            bundle=f"{root}/{self.folder.bundle.name}",
            output=f"{root}/{self.folder.units.name}",
            units=units,
        )
        for unit in units:
            (self.folder.unit(unit) / RESULT).unlink(missing_ok=True)  # of an earlier try
        self.folder.scratch.mkdir(exist_ok=True)
        with self.folder.worker_log.open("ab") as log, _short(self.folder.scratch) as scratch:
            environment = {**os.environ, "TMPDIR": str(scratch)}
            environment |= json.loads(self.folder.environment.read_bytes())
            own = os.getpid()
            by = signal.SIGTERM if self.launcher.prefix else signal.SIGKILL  # `docker run` hands SIGTERM on
            self.worker = subprocess.Popen(
                [*self.launcher.prefix, *worker],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(own, by),  # noqa: PLW1509  # no other thread runs here
            )
            code = self.worker.wait()
            self._end_rest()
        return code

    def _end_rest(self) -> None:
        """End what the worker left behind, as it does when it is killed itself."""
        end_children()
        if self.launcher.end:
            subprocess.run(self.launcher.end, capture_output=True, check=False)

    def _ended(self, attempts: int, code: int) -> Ended:
        results = self._results()
        if all(result and not result.exit_code for result in results):
            return Ended(state=JobState.SUCCEEDED, finished=now(), attempts=attempts)
        exit_code, reason = self._failure(results, code)
        return Ended(state=JobState.FAILED, finished=now(), attempts=attempts, exit_code=exit_code, reason=reason)

    def _failure(self, results: list[UnitResult | None], code: int) -> tuple[int, str | None]:
        if None in results:  # the worker did not come to these, whatever the others failed for
            return self._worker_failure(code)
        failed = next(result for result in results if result and result.exit_code)
        return failed.exit_code, failed.error.message if failed.error else None

    def _worker_failure(self, code: int) -> tuple[ExitCode, str]:
        if code < 0:
            return ExitCode.LOST, f"the worker was ended by {signal_name(-code)}"
        if self.launcher.prefix and code > SIGNALLED:
            return ExitCode.LOST, f"the container was ended by {signal_name(code - SIGNALLED)}"
        said = [line for line in read_tail(self.folder.worker_log) if line.strip()]
        if self.launcher.prefix and code in NOT_STARTED:
            return ExitCode.BACKEND, f"the container did not start: {said[-1] if said else f'exit code {code}'}"
        known = ExitCode(code) if code in set(ExitCode) else ExitCode.INTERNAL
        last = said[-1].removeprefix("openjd_fail: ") if said else "it said nothing"
        return known, last if known is not ExitCode.INTERNAL else f"the worker failed: {last}"


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """Give a short name to a folder: a socket in it may have a name of 107 bytes. Where there is none, the long one."""
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
