"""Reads the state and the logs of a local job from its folder."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from backends.chunk_store.shard_results import explain_whole
from backends.chunk_store.shards import join_statuses
from backends.exit_codes import ExitCode
from backends.local.documents import Ended, Record, now
from backends.local.folder import JobFolder, boot_id, read_tail
from backends.local.turns import count_turns
from backends.models import JobHandle, JobState, JobStatus, LogLine, UnitStatus
from backends.problem import Problem
from backends.untrusted import Limits, LineCutter
from backends.worker_protocol import UnitResult, last_progress, last_status

POLL_INTERVAL_S = 0.1
READ_BYTES = 65536
MAX_LOG_BYTES = Limits().log + 2**20  # the worker's limit, and room for what it adds


@dataclass
class KnownUnits:
    """What was read of a job's units so far: how some ended, and where in the file of results their number goes on."""

    ended: dict[int, UnitStatus] = field(default_factory=dict)
    position: int = 0


def read_status(folder: JobFolder, handle: JobHandle, known: KnownUnits | None = None) -> JobStatus:
    """Return the state of the job and of its units. Raises OSError or ValueError for a damaged folder.

    ``known`` is what was read before: of the units, only results that are new are read, and this adds them.
    """
    record = folder.read_record()
    ended = _read_end(folder, record)
    units = _read_units(folder, record.units, ended, known or KnownUnits())
    return _build_status(folder, handle, record, ended, units)


def read_summary(folder: JobFolder, handle: JobHandle, record: Record) -> JobStatus:
    """Return what ``read_status`` does, for a list: the results of a job that has succeeded are not read."""
    ended = _read_end(folder, record)
    if ended and ended.state is JobState.SUCCEEDED:
        units = tuple(UnitStatus(name=name, state=JobState.SUCCEEDED, progress=100.0) for name in record.units)
    else:
        units = _read_units(folder, record.units, ended, KnownUnits())
    return _build_status(folder, handle, record, ended, units)


def has_ended(folder: JobFolder) -> bool:
    """Return whether the job has ended, or is no longer there; its units are not read."""
    try:
        if folder.read_end() is None and folder.is_supervised():  # most often
            return False
        return _read_end(folder, folder.read_record()) is not None
    except (OSError, ValueError):
        return True


def end_if_lost(folder: JobFolder) -> None:
    """Write how a job ended whose supervisor was killed, and end what it left running. Other jobs stay as they are."""
    with suppress(OSError, ValueError):
        _read_end(folder, folder.read_record())


def _read_end(folder: JobFolder, record: Record) -> Ended | None:
    ended = folder.read_end()
    if ended is None and not folder.is_supervised():
        ended = folder.read_end() or _end_lost_job(folder, record)
    return ended


def _build_status(
    folder: JobFolder, handle: JobHandle, record: Record, ended: Ended | None, units: tuple[UnitStatus, ...]
) -> JobStatus:
    units = (join_statuses(units),) if record.shards else units
    return JobStatus(
        handle=handle,
        name=record.name,
        state=_job_state(units, ended),
        units=units,
        problem=_explain_end(ended, handle) if ended else _explain_wait(folder, units),
        created=datetime.fromisoformat(record.created),
        finished=datetime.fromisoformat(ended.finished) if ended else None,
    )


def _job_state(units: tuple[UnitStatus, ...], ended: Ended | None) -> JobState:
    if ended:
        return ended.state
    started = any(unit.state is not JobState.PENDING for unit in units)
    return JobState.RUNNING if started else JobState.PENDING


def _explain_end(ended: Ended, handle: JobHandle) -> Problem | None:
    problem = ended.problem
    return problem and replace(problem, hint=problem.hint or f"renderer logs {handle}")


def _explain_wait(folder: JobFolder, units: tuple[UnitStatus, ...]) -> Problem | None:
    """Return why no unit of a job that has not ended has begun; None if one has."""
    if any(unit.state is not JobState.PENDING for unit in units):
        return None
    if earlier := folder.read_earlier():
        jobs = f"{earlier} earlier {'job' if earlier == 1 else 'jobs'}"
        message = f"it waits for its turn: {jobs} of yours on this machine, of which {count_turns()} run at a time"
        return Problem(message=message, hint="`renderer list` shows them; `renderer cancel HANDLE` ends one")
    return Problem(message="the worker is starting")


def _end_lost_job(folder: JobFolder, record: Record) -> Ended:
    """Return how a job ended whose supervisor was killed before it could write that.

    Also write it to the job's folder, so that all readers see the same time of the end.
    """
    if folder.cancel.exists():
        ended = Ended(state=JobState.CANCELLED, finished=now())
    else:
        restarted = record.boot != boot_id()
        what = "this machine was restarted while the job ran" if restarted else "the job's supervisor was killed"
        problem = Problem(message=what, exit_code=ExitCode.LOST)
        ended = Ended(state=JobState.FAILED, finished=now(), problem=problem)
    if end := folder.read_launcher().end:
        subprocess.run(end, capture_output=True, check=False)
    folder.write_end(ended)
    return ended


def _read_units(
    folder: JobFolder, names: Sequence[str], ended: Ended | None, known: KnownUnits
) -> tuple[UnitStatus, ...]:
    """Return the status of each unit; of those that have neither a result nor a folder, without looking for files."""
    begun = folder.list_begun()  # before the results: of a unit that ends now, both are seen
    for index, result, position in folder.follow_results(names, known.position):
        known.position = position
        if result:
            known.ended[index] = _describe_result(names[index], result)
        else:
            known.ended.pop(index, None)
    units = []
    for index, name in enumerate(names):
        unit = known.ended.get(index)
        if unit is None and index in begun:
            unit = _read_unit(folder, index, name, ended)
        elif unit is None:
            waits = UnitStatus(name=name, state=JobState.PENDING)
            unit = _unit_without_result(name, ended, begun=False) if ended else waits
        units.append(unit)
    return tuple(units)


def _describe_result(name: str, result: UnitResult) -> UnitStatus:
    if result.exit_code:
        problem = result.error or Problem(message=f"{name} failed", exit_code=result.exit_code)
        return UnitStatus(name=name, state=JobState.FAILED, problem=problem)
    return UnitStatus(name=name, state=JobState.SUCCEEDED, progress=100.0, activity=explain_whole(result))


def _read_unit(folder: JobFolder, index: int, name: str, ended: Ended | None) -> UnitStatus:
    log = folder.open_log(index)
    lines = read_tail(log) if log else []
    if ended:
        return _unit_without_result(name, ended, begun=log is not None)
    if log is None:
        return UnitStatus(name=name, state=JobState.PENDING)
    return UnitStatus(
        name=name,
        state=JobState.RUNNING,
        progress=last_progress(lines),
        activity=last_status(lines),
        attempt=folder.read_attempt(),
    )


def _unit_without_result(name: str, ended: Ended, *, begun: bool) -> UnitStatus:
    """Return the state of a unit that did not finish, or never started, because the job ended before."""
    problem = ended.problem
    if problem and (ended.over_limit or not begun):
        how = "it was stopped" if begun else "it did not run"
        code = ExitCode.CANCELLED if ended.over_limit else problem.exit_code  # not that of the units that failed
        problem = replace(problem, message=f"{how}: {problem.message}", exit_code=code)
    state = JobState.CANCELLED if ended.state is JobState.CANCELLED else JobState.FAILED
    return UnitStatus(name=name, state=state, problem=problem)


def read_logs(folder: JobFolder, units: int, *, follow: bool, is_running: Callable[[], bool]) -> Iterator[LogLine]:
    """Yield the lines of the logs, unit by unit. With ``follow``, wait for new ones while ``is_running()`` is true."""
    readers = [_LogReader(folder, unit) for unit in range(units)]
    while True:
        more_may_come = follow and is_running()
        for reader in readers:
            yield from reader.read_lines(last=not more_may_come)
        if not more_may_come:
            return
        time.sleep(POLL_INTERVAL_S)


class _LogReader:
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
            while self.offset < MAX_LOG_BYTES and (data := log.read(READ_BYTES)):
                self.offset += len(data)
                yield from map(self._make_line, self.lines.split(data))
        if last and (rest := self.lines.finish()):
            yield self._make_line(rest)

    def _make_line(self, line: bytes) -> LogLine:
        return LogLine(self.unit, line.decode("utf-8", "replace").rstrip("\r"))
