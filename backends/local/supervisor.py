"""The supervisor: watches over one local job after the command that submitted it has ended.

``python -I -m backends.local.supervisor FOLDER``
"""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from backends import debug_log
from backends.errors import SpecError
from backends.exit_codes import ExitCode
from backends.image.start_failures import explain_only_line, explain_start_failure
from backends.local.documents import PYTHON_WORKER, Ended, now
from backends.local.folder import WEBHOOKS, JobFolder
from backends.local.turns import keep_turn
from backends.local.worker_process import WorkerProcess
from backends.local.worker_start import start_worker
from backends.models import JobState
from backends.problem import Problem
from backends.processes import (
    adopt_orphans,
    end_children,
    reproducible_start,
    set_dumpable,
    signal_name,
)
from backends.untrusted.trees import remove_tree
from backends.worker_protocol import RETRIED, WORKER, directive, worker_command

if TYPE_CHECKING:
    from backends.local.early.supervisor import EarlyWorker

WORKER_END_TIMEOUT_S = 0.9  # the worker ends its own children within it; then everything is killed
CONTAINER_SIGNAL_BASE = 128  # a container's exit code above it means that a signal ended it
CONTAINER_NOT_STARTED = frozenset({125, 126, 127})  # exit codes of `docker run` itself
DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_log = logging.getLogger("backends.local.supervisor")  # as a program its __name__ is "__main__"


class Stopped(BaseException):
    """The job must end, because SIGTERM has arrived or somebody has cancelled it."""


def supervise(path: Path, early: EarlyWorker | None = None) -> None:
    """Run the job in the folder until it has ended; with the worker that was started early, if there is one."""
    with suppress(SpecError):  # a wrong RENDERER_LOG must not end the job
        debug_log.configure(debug_log.level_from_environment())
    signal.signal(signal.SIGTERM, _stop)
    adopt_orphans()
    set_dumpable(False)
    folder = JobFolder(path)
    os.read(sys.stdin.fileno(), 1)  # until the submit has written the whole job, or was killed
    if not folder.is_complete:
        with suppress(OSError):
            remove_tree(folder.path)
        return
    supervisor = Supervisor(folder, early)
    try:
        with supervisor.keep_turn():
            ended = supervisor.run()
    except Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.end_worker()
        ended = _describe_stop(folder)
    except OSError as error:
        supervisor.end_worker()
        ended = Ended(state=JobState.FAILED, finished=now(), problem=_explain(error))
    _log.debug("the job has ended: %s", ended)
    folder.write_end(ended)
    if (folder.path.parent / WEBHOOKS).exists():
        from backends.local.webhooks import Deliveries  # few jobs have one

        Deliveries(folder.path.parent).start_messenger()


def _describe_stop(folder: JobFolder) -> Ended:
    if folder.cancel.exists():
        return Ended(state=JobState.CANCELLED, finished=now())
    message = "the job was told to stop by SIGTERM, as when this machine shuts down"
    problem = Problem(message=message, exit_code=ExitCode.LOST)
    return Ended(state=JobState.FAILED, finished=now(), problem=problem)


def _explain(error: OSError) -> Problem:
    if error.errno in DISK_IS_FULL:
        what = f"the files of the job cannot be written: {error.strerror}"
        return Problem(message=what, hint="free disk space, and submit it again", exit_code=ExitCode.OUTPUT)
    where = f"{error.filename}: " if error.filename else ""
    return Problem(message=f"the job's supervisor failed: {where}{error.strerror}", exit_code=ExitCode.LOST)


class Supervisor:
    """Starts the worker, restarts it after infrastructure failures, and finds out how the job ended."""

    def __init__(self, folder: JobFolder, early: EarlyWorker | None = None) -> None:
        self.folder = folder
        self.early = early
        self.record = folder.read_record()
        self.launcher = folder.read_launcher()
        self.worker: subprocess.Popen[bytes] | None = None
        self.exit_codes: dict[int, int] = {}  # of the units that have ended
        self.failed: dict[int, int] = {}  # the exit codes of units that failed for good

    @contextmanager
    def keep_turn(self) -> Iterator[None]:
        """Keep the job's turn within the block. Raises Stopped if the job was cancelled or told to stop before."""
        with ExitStack() as stack:
            if self.launcher.ticket:
                stack.enter_context(keep_turn(Path(self.launcher.ticket)))
                self.folder.earlier.unlink(missing_ok=True)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked while the job waited
            if self.folder.cancel.exists():
                raise Stopped
            yield

    def run(self) -> Ended:
        """Run the worker until every unit has succeeded, has a failure that is not retried, or has no attempts left."""
        attempt = 0
        while True:
            attempt += 1
            self.folder.attempt.write_text(str(attempt))
            is_last = attempt > self.record.retries
            problem = self._run_worker(self._remaining_units(), retried=() if is_last else RETRIED)
            if is_last or self._has_too_many_failures() or not self._remaining_units():
                return self._describe_end(attempt, problem)

    def end_worker(self) -> None:
        """Ask the worker to stop, then kill all its processes that still run."""
        if self.worker is None:
            return
        with suppress(ProcessLookupError):
            self.worker.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.worker.wait(WORKER_END_TIMEOUT_S)
        self._clean_up()

    def _remaining_units(self) -> list[int]:
        """Return the units to run again: those without a result, and those whose failure may be temporary."""
        codes = map(self.exit_codes.get, range(len(self.record.units)))
        return [unit for unit, code in enumerate(codes) if code is None or code in RETRIED]

    def _has_too_many_failures(self) -> bool:
        return self.record.max_failed is not None and len(self.failed) > self.record.max_failed

    def _run_worker(self, units: list[int], *, retried: Collection[int]) -> Problem | None:
        """Run the worker for these units. Return why it failed; None if it succeeded.

        Units that end with an exit code of ``retried`` have another attempt.
        """
        for unit in units:
            self.exit_codes.pop(unit, None)
            if self.worker:  # of an earlier attempt
                self.folder.forget_unit(unit)
        remove_tree(self.folder.scratch)
        self.folder.scratch.mkdir()
        with _short_name(self.folder) as scratch:
            environment = {**os.environ, "TMPDIR": str(scratch)}
            environment |= json.loads(self.folder.environment.read_bytes())
            if self.launcher.cache:
                from backends.cache.launch import start_cache_server  # few jobs have a shared cache

                environment |= start_cache_server(self.launcher.cache, scratch, self.folder.spool, environment)
            self.worker = self._start_worker(units, environment)
            process = WorkerProcess(
                self.folder, self.record, self.worker, exit_codes=self.exit_codes, failed=self.failed, retried=retried
            )
            if not process.wait():
                if process.problem is None:
                    raise Stopped
                self.end_worker()
                return process.problem
            code = self.worker.wait()
            _log.debug("worker %d ended with exit code %d", self.worker.pid, code)
            self._clean_up()
        return self._explain_exit(code, process.read_tail())

    def _start_worker(self, units: list[int], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start the worker for the units with these variables, or use the one that was started early."""
        root, path = self.launcher.root, self.folder.path
        task, bundle, output = (
            f"{root}/{file.relative_to(path)}" for file in (self.folder.task, self.folder.bundle, self.folder.units)
        )
        start = self.launcher.start
        starts_python = start == PYTHON_WORKER and not self.launcher.prefix
        command = worker_command(
            () if starts_python else start, task=task, bundle=bundle, output=output, units=units, report=True
        )
        early, self.early = self.early, None
        if starts_python:  # the worker would otherwise start itself again
            arguments = command
            command, environment = reproducible_start(WORKER, arguments, environment)
            if early and (worker := early.begin(arguments, environment)):
                _log.debug("use worker %d, which was started early, for units %s", worker.pid, units)
                return worker
        worker = start_worker([*self.launcher.prefix, *command], environment)
        _log.debug("started worker %d for units %s", worker.pid, units)
        return worker

    def _clean_up(self) -> None:
        """End processes that the worker left behind. It does that itself, unless it is killed."""
        end_children()
        if self.launcher.end:
            subprocess.run(self.launcher.end, capture_output=True, check=False)

    def _describe_end(self, attempts: int, problem: Problem | None) -> Ended:
        """Return how the job ended. It succeeded if all units and the worker of the last attempt did."""
        has_all = len(self.exit_codes) == len(self.record.units)
        first = min((unit for unit, code in self.exit_codes.items() if code), default=None)
        failed = None if first is None else self.folder.read_results(self.record.units, {first}).get(first)
        if failed:
            unit_problem = failed.error or Problem(message=f"{failed.unit} failed", exit_code=failed.exit_code)
            unit_problem = replace(unit_problem, hint=None)  # the job's words are no advice of ours
            if has_all or problem is None:  # a problem that kept units from running is more important
                problem = unit_problem
        elif problem is None and not has_all:
            problem = Problem(message="the worker ended before it had run all units", exit_code=ExitCode.INTERNAL)
        state = JobState.FAILED if problem else JobState.SUCCEEDED
        over_limit = self._has_too_many_failures()
        return Ended(state=state, finished=now(), attempts=attempts, problem=problem, over_limit=over_limit)

    def _explain_exit(self, code: int, lines: list[str]) -> Problem | None:
        """Return why the worker ended with this exit code, after it had printed these lines; None for success."""
        printed = [line for line in lines if line.strip()]
        if code == 0:
            return None
        if code < 0:
            return Problem(message=f"the worker was ended by {signal_name(-code)}", exit_code=ExitCode.LOST)
        if self.launcher.prefix and (problem := _explain_container(code, printed)):
            return problem
        last = printed[-1] if printed else "it printed nothing"
        if code not in set(ExitCode) or code == ExitCode.INTERNAL:
            return Problem(message=f"the worker failed: {last}", exit_code=ExitCode.INTERNAL)
        failures = [found[1] for line in printed if (found := directive(line)) and found[0] == "fail"]
        return Problem(message=failures[-1] if failures else last, exit_code=code)


def _explain_container(code: int, printed: list[str]) -> Problem | None:
    """Return why a container did not start, or what ended it; None if the worker in it ended by itself."""
    last = printed[-1] if printed else f"exit code {code}"
    if code in CONTAINER_NOT_STARTED:
        unknown = Problem(message=f"the container did not start: {last}", exit_code=ExitCode.BACKEND)
        return explain_start_failure(last) or unknown
    if problem := explain_only_line(last):
        return problem
    if code > CONTAINER_SIGNAL_BASE:
        name = signal_name(code - CONTAINER_SIGNAL_BASE)
        return Problem(message=f"the container was ended by {name}", exit_code=ExitCode.LOST)
    return None


@contextmanager
def _short_name(folder: JobFolder) -> Iterator[Path]:
    """Yield a short path (a link) to the folder ``scratch``, because a socket's path has at most 107 bytes.

    If the link cannot be made, yield the folder itself.
    """
    with ExitStack() as stack:
        try:
            link = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="r-"))) / "t"
            folder.link.write_bytes(os.fsencode(link))  # whoever finds that this process was killed removes it
            link.symlink_to(folder.scratch)
        except OSError:
            link = folder.scratch
        yield link


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    supervise(Path(sys.argv[1]))
