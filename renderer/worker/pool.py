"""Runs the units side by side: collects their output, bounds their time, writes their results."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from backends.errors import InputError
from backends.exit_codes import ExitCode
from backends.files import sha256
from backends.processes import adopt_orphans, end_children, end_trees, oom_kills, signal_name
from backends.worker_protocol import FILES, LOG, RESULT, Output, UnitError, UnitResult
from renderer.worker import versions
from renderer.worker.units import Job, Outcome, Runner, SceneRunner, ScriptRunner

POLL_S = 0.05
CHUNK = 65536


class Stopped(BaseException):
    """SIGTERM: end everything and go."""


@dataclass
class _Running:
    unit: int
    process: int
    pipe: int
    log: IO[bytes]
    deadline: float
    started: datetime
    oom_kills: int
    rest: bytes = b""
    timed_out: bool = False
    ended: float = field(default_factory=time.monotonic)


class Pool:
    """The units of one worker."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.running: dict[int, _Running] = {}
        self.selector = selectors.DefaultSelector()

    def run(self, units: list[int]) -> ExitCode:
        """Render the units that have no valid result yet. Raises Stopped on SIGTERM, when all children have ended."""
        signal.signal(signal.SIGTERM, _stop)
        adopt_orphans()
        results = {unit: _earlier_result(self.job.folder(unit)) for unit in units}
        waiting = [unit for unit in units if results[unit] is None]
        try:
            if waiting:
                runner = self._runner()
                while waiting or self.running:
                    while waiting and len(self.running) < runner.side_by_side:
                        self._start(runner, waiting.pop(0))
                    results |= self._step(runner)
        finally:
            end_children()
        return next((ExitCode(found.exit_code) for found in results.values() if found and found.exit_code), ExitCode.OK)

    def _runner(self) -> Runner:
        return SceneRunner(self.job) if self.job.payload.kind == "manim" else ScriptRunner(self.job)

    def _start(self, runner: Runner, unit: int) -> None:
        folder = self.job.folder(unit)
        shutil.rmtree(folder / FILES, ignore_errors=True)  # an earlier try's, which failed
        (folder / FILES).mkdir(parents=True)
        read, write = os.pipe()
        os.set_blocking(read, False)
        log = (folder / LOG).open("ab")
        if log.tell():
            log.write(b"-- tried again --\n")
        started, kills = datetime.now(UTC), oom_kills()
        process = runner.start(unit, write)
        os.close(write)
        self.running[read] = _Running(
            unit=unit,
            process=process,
            pipe=read,
            log=log,
            deadline=time.monotonic() + self.job.payload.timeout,
            started=started,
            oom_kills=kills,
        )
        self.selector.register(read, selectors.EVENT_READ)

    def _step(self, runner: Runner) -> dict[int, UnitResult]:
        """Take what the children wrote; give the results of those that have ended."""
        for key, _ in self.selector.select(POLL_S):
            self._read(self.running[key.fd])
        results = {}
        for item in list(self.running.values()):
            process, status = os.waitpid(item.process, os.WNOHANG)
            if not process and time.monotonic() > item.deadline:
                item.timed_out = True
                status = signal.SIGKILL
                end_trees([item.process])
            elif not process:
                continue
            results[item.unit] = self._finish(runner, item, os.waitstatus_to_exitcode(status))
        return results

    def _read(self, item: _Running) -> bool:
        try:
            data = os.read(item.pipe, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._forget(item)
            return False
        item.log.write(data)
        item.log.flush()
        whole, newline, item.rest = (item.rest + data).rpartition(b"\n")
        sys.stdout.buffer.write(whole + newline)
        sys.stdout.buffer.flush()
        return True

    def _forget(self, item: _Running) -> None:
        with suppress(KeyError):  # at the end of the output it was forgotten already
            self.selector.unregister(item.pipe)

    def _finish(self, runner: Runner, item: _Running, exit_code: int) -> UnitResult:
        while self._read(item):
            pass
        outcome = self._outcome(runner, item, exit_code)
        if outcome.error:
            line = f"openjd_fail: {outcome.error.message}\n".encode("utf-8", "replace")
            item.log.write(line)
            item.rest += line
        sys.stdout.buffer.write(item.rest)
        sys.stdout.buffer.flush()
        item.log.close()
        self._forget(item)
        os.close(item.pipe)
        del self.running[item.pipe]
        return self._write_result(item, outcome)

    def _outcome(self, runner: Runner, item: _Running, exit_code: int) -> Outcome:
        name = self.job.payload.units[item.unit]
        if item.timed_out:
            message = f"{name} took longer than the time limit of {self.job.payload.timeout:g} s"
            return _failed(ExitCode.TIMEOUT, message, "raise --timeout, or look in the log for where it hangs")
        outcome = runner.outcome(item.unit, exit_code)
        if outcome:
            return outcome
        if exit_code == -signal.SIGKILL and oom_kills() > item.oom_kills:
            message = f"{name} ran out of memory: the kernel ended it"
            return _failed(ExitCode.OUT_OF_MEMORY, message, "raise --memory, or lower the resolution")
        if exit_code >= 0:
            return _failed(ExitCode.USER_CODE, f"{name} ended its process itself, with exit code {exit_code}", None)
        hint = (
            "SIGKILL is most often the kernel short of memory: raise --memory" if exit_code == -signal.SIGKILL else None
        )
        return _failed(ExitCode.LOST, f"{name} was ended by {signal_name(-exit_code)}", hint)

    def _write_result(self, item: _Running, outcome: Outcome) -> UnitResult:
        folder = self.job.folder(item.unit)
        finished = datetime.now(UTC)
        _follow_links(folder / FILES)
        outputs = _outputs(folder / FILES)
        if unspeakable := [output.path for output in outputs if not _is_text(output.path)]:
            message = f"the name of an output is not UTF-8: {unspeakable[0]!a}"
            outcome = _failed(ExitCode.OUTPUT, message, "write it under another name")
            outputs = tuple(output for output in outputs if output.path not in unspeakable)
        result = UnitResult(
            unit=self.job.payload.units[item.unit],
            exit_code=int(outcome.exit_code),
            outputs=outputs,
            error=outcome.error,
            render=outcome.render,
            encoder=outcome.encoder,
            versions=versions.versions(self.job.payload.kind),
            seconds={**outcome.seconds, "total": round((finished - item.started).total_seconds(), 3)},
            started=item.started.isoformat(timespec="milliseconds"),
            finished=finished.isoformat(timespec="milliseconds"),
        )
        temporary = folder / f".{RESULT}.tmp"
        temporary.write_bytes(result.to_json().encode("utf-8", "replace"))
        temporary.replace(folder / RESULT)
        return result


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def _failed(code: ExitCode, message: str, hint: str | None) -> Outcome:
    return Outcome(exit_code=code, error=UnitError(message=message, hint=hint))


def _earlier_result(folder: Path) -> UnitResult | None:
    """Give the result of an earlier try of this unit, if it succeeded and its files are still as it says."""
    try:
        result = UnitResult.read(folder / RESULT)
    except InputError:
        return None
    if result and result.exit_code == 0 and _outputs(folder / FILES) == tuple(result.outputs):
        return result
    return None


def _follow_links(folder: Path) -> None:
    """Put a copy in the place of each link to another output: links are not brought."""
    for path in folder.rglob("*"):
        if path.is_symlink() and path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            target = path.resolve()
            path.unlink()
            shutil.copyfile(target, path)


def _outputs(folder: Path) -> tuple[Output, ...]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return tuple(
        Output(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=sha256(path))
        for path in files
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
