"""Runs the units of a job, several at the same time: copies what they print, limits their time, writes results."""

from __future__ import annotations

import importlib.util
import logging
import os
import selectors
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType

from backends.errors import BackendError
from backends.exit_codes import ExitCode
from backends.problem import Problem
from backends.processes import MEMORY_EVENTS, adopt_orphans, end_children, end_trees, oom_kills, signal_name, watch_end
from backends.untrusted import LineCutter, LogWriter
from backends.worker_protocol import FILES, LOG, UnitResult
from renderer.system.limits import has_memory_limit, pin_blas_kernel
from renderer.worker.packages import use_in_this_process
from renderer.worker.reports import Reports
from renderer.worker.results import read_earlier_result, write_result
from renderer.worker.scripts import ScriptRunner
from renderer.worker.unpacked_job import Runner, UnitReport, UnpackedJob
from renderer.worker.working_folder import WorkingFolder

POLL_INTERVAL_S = 0.05
READ_BYTES = 65536
NEEDED_FOR_SCENES = (3, 11)
PIPE_BYTES = 2**20  # the most that a pipe holds, unless root makes it larger
_log = logging.getLogger(__name__)


class Stopped(BaseException):
    """SIGTERM has arrived, so that the worker ends all units and itself."""


@dataclass
class _RunningUnit:
    """One unit's process. ``lines`` holds the start of a line whose end has not been printed yet."""

    unit: int
    process: int
    pipe: int
    log: LogWriter
    working: WorkingFolder
    deadline: float
    started: datetime
    oom_kills: int
    ended: int | None  # a file descriptor that becomes readable when the process ends; None if the system has none
    lines: LineCutter = field(default_factory=LineCutter)
    timed_out: bool = False


class Pool:
    """The units of one worker. ``reports`` tells a supervisor about them."""

    def __init__(self, job: UnpackedJob, reports: Reports) -> None:
        self.job = job
        self.reports = reports
        self.running: dict[int, _RunningUnit] = {}
        self.selector = selectors.DefaultSelector()

    def run(self, units: list[int]) -> ExitCode:
        """Render the units that have no valid result yet; return the exit code of the first that failed.

        Raises Stopped on SIGTERM, after all children have ended.
        """
        signal.signal(signal.SIGTERM, _stop)
        adopt_orphans()
        results = {unit: read_earlier_result(self.job, unit) for unit in units}
        waiting = [unit for unit in units if results[unit] is None]
        for unit, found in results.items():
            if found:
                self._report_end(unit, found)
        try:
            if waiting:
                runner = self._make_runner()
                most = min(runner.side_by_side, self.job.payload.side_by_side or len(waiting))
                while waiting or self.running:
                    while waiting and len(self.running) < most:
                        self._start(runner, waiting.pop(0))
                    for item, exit_code in self._step():
                        if waiting and self.running:  # it runs while the outputs of this one are read
                            self._start(runner, waiting.pop(0))
                        results[item.unit] = self._finish(runner, item, exit_code)
                runner.finish()
        finally:
            end_children()
        return next((ExitCode(found.exit_code) for found in results.values() if found and found.exit_code), ExitCode.OK)

    def _make_runner(self) -> Runner:
        if self.job.payload.kind == "script":
            return ScriptRunner(self.job)
        if self.job.payload.shards:
            pin_blas_kernel()
        if self.job.environment:
            use_in_this_process(self.job.environment)
        _check_manim()
        from renderer.worker.scenes import SceneRunner

        return SceneRunner(self.job)

    def _start(self, runner: Runner, unit: int) -> None:
        folder = self.job.folder(unit)
        shutil.rmtree(folder / FILES, ignore_errors=True)  # of an earlier attempt that failed
        folder.mkdir(parents=True, exist_ok=True)  # without FILES: most units of a large map have no outputs
        working = WorkingFolder(self.job, unit)
        working.fill()
        read, write = os.pipe()
        os.set_blocking(read, False)
        file = (folder / LOG).open("ab")
        log = LogWriter(file)
        if file.tell():
            log.write(b"-- next attempt --\n")
        started, kills = datetime.now(timezone.utc), oom_kills()
        process = runner.start(unit, write)
        os.close(write)
        _log.debug("unit %d started as process %d", unit, process)
        self.reports.start(unit)
        self.running[read] = _RunningUnit(
            unit=unit,
            process=process,
            pipe=read,
            log=log,
            working=working,
            deadline=time.monotonic() + self.job.payload.timeout,
            started=started,
            oom_kills=kills,
            ended=watch_end(process),
        )
        self.selector.register(read, selectors.EVENT_READ)
        if (ended := self.running[read].ended) is not None:
            self.selector.register(ended, selectors.EVENT_READ)

    def _step(self) -> Iterator[tuple[_RunningUnit, int]]:
        """Copy what the units have printed; yield those that have ended, with their exit codes."""
        for key, _ in self.selector.select(POLL_INTERVAL_S):
            if key.fd in self.running:
                self._copy_output(self.running[key.fd])
        self._reap_orphans()
        for item in list(self.running.values()):
            process, status = os.waitpid(item.process, os.WNOHANG)
            if not process and time.monotonic() > item.deadline:
                item.timed_out = True
                status = signal.SIGKILL
                end_trees([item.process])
            elif not process:
                continue
            self._stop_watching(item)
            yield item, _read_exit_code(status)

    def _reap_orphans(self) -> None:
        """Wait for processes whose parent has ended: in a container, nobody else does it, and they would stay."""
        with suppress(ChildProcessError):
            child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if child and child.si_pid not in {item.process for item in self.running.values()}:
                os.waitpid(child.si_pid, os.WNOHANG)

    def _copy_output(self, item: _RunningUnit) -> bool:
        """Copy what the unit has printed to its log, and whole lines to stdout; return whether there was anything.

        Both get as much as a log may have; the rest is read and dropped, so that the unit does not have to wait.
        """
        try:
            data = os.read(item.pipe, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._stop_reading(item)
            return False
        kept = item.log.write(data)
        self.reports.print(item.unit, kept)
        self.reports.show(item.unit, item.lines.cut(kept))
        return True

    def _stop_reading(self, item: _RunningUnit) -> None:
        with suppress(KeyError):  # the end of the output has been reached before
            self.selector.unregister(item.pipe)

    def _stop_watching(self, item: _RunningUnit) -> None:
        self._stop_reading(item)
        if item.ended is not None:
            self.selector.unregister(item.ended)
            os.close(item.ended)
        del self.running[item.pipe]

    def _finish(self, runner: Runner, item: _RunningUnit, exit_code: int) -> UnitResult:
        # Processes that the unit left behind must not change its outputs while they are read. While other units run, it
        # is not known whose processes they are.
        if not self.running:
            end_children()
        for _ in range(PIPE_BYTES // READ_BYTES):
            if not self._copy_output(item):
                break
        os.close(item.pipe)
        report = self._find_report(runner, item, exit_code)
        result = write_result(self.job, item.unit, report, item.working, started=item.started, deadline=item.deadline)
        item.working.remove()
        self.job.leave_input(item.unit)
        error = result.error
        _log.debug("unit %d ended with exit code %d: %s", item.unit, exit_code, error or "succeeded")
        line = f"openjd_fail: {error.message}\n".encode("utf-8", "replace") if error else b""
        last = item.log.close(line)
        self.reports.print(item.unit, last)
        self.reports.show(item.unit, item.lines.finish() + last)
        self._report_end(item.unit, result)
        return result

    def _report_end(self, unit: int, result: UnitResult) -> None:
        self.reports.end(unit, result, self.job.folder(unit) / FILES)

    def _find_report(self, runner: Runner, item: _RunningUnit, exit_code: int) -> UnitReport:
        name = self.job.name(item.unit)
        if item.timed_out:
            message = f"{name} took longer than the time limit of {self.job.payload.timeout:g} s"
            return _failed(ExitCode.TIMEOUT, message, "raise --timeout, or look in the log for where it hangs")
        if report := runner.read_report(item.unit, exit_code):
            return report
        if exit_code == -signal.SIGKILL and oom_kills() > item.oom_kills:
            message = f"{name} ran out of memory: the kernel ended it"
            return _failed(ExitCode.OUT_OF_MEMORY, message, self._advise_on_memory())
        if exit_code >= 0:
            return _failed(ExitCode.USER_CODE, f"{name} ended its own process, with exit code {exit_code}", None)
        killed = f"SIGKILL usually means that memory ran out: {self._advise_on_memory()}"
        hint = killed if exit_code == -signal.SIGKILL else None
        return _failed(ExitCode.LOST, f"{name} was ended by {signal_name(-exit_code)}", hint)

    def _advise_on_memory(self) -> str:
        """Return what to do when memory has run out. A container may have a limit that cannot be seen in it."""
        is_limited = Path(MEMORY_EVENTS).exists() or has_memory_limit()
        more = "raise --memory" if is_limited else "raise --memory if the job has such a limit, or close other programs"
        return more if self.job.payload.kind == "script" else f"{more}, or lower the resolution"


def _check_manim() -> None:
    """Raise BackendError where this Python cannot render scenes."""
    if sys.version_info < NEEDED_FOR_SCENES:
        message = f"this Python is {sys.version_info[0]}.{sys.version_info[1]}, and scenes need 3.11 or newer"
        raise BackendError(message, hint="leave --image out, or choose an image with a newer Python")
    if not importlib.util.find_spec("manim"):
        raise BackendError("Manim is not installed here", hint="leave --image out, or choose an image that has Manim")


def _read_exit_code(status: int) -> int:
    """Return what os.waitstatus_to_exitcode, which is new in Python 3.9, returns."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def _failed(code: ExitCode, message: str, hint: str | None) -> UnitReport:
    return UnitReport(error=Problem(message=message, hint=hint, exit_code=code))
