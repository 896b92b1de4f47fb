"""Reads the state of a local job from its folder."""

from __future__ import annotations

import subprocess
from datetime import datetime

from backends.exit_codes import ExitCode
from backends.local.folder import Ended, JobFolder, Record, boot_id, now
from backends.models import JobHandle, JobState, JobStatus, UnitStatus
from backends.worker_protocol import RESULT, UnitResult, last_progress, last_status


def read(folder: JobFolder, handle: JobHandle) -> JobStatus:
    """Tell the state of the job and of its units."""
    record = folder.record()
    ended = folder.ended()
    if ended is None and not folder.supervised():
        ended = folder.ended() or _lost(folder, record)
    units = tuple(_unit(folder, index, name, ended) for index, name in enumerate(record.units))
    started = any(unit.state is not JobState.PENDING for unit in units)
    return JobStatus(
        handle=handle,
        name=record.name,
        state=ended.state if ended else (JobState.RUNNING if started else JobState.PENDING),
        units=units,
        reason=ended.reason if ended else (None if started else "the worker is starting"),
        hint=f"renderer logs {handle}" if ended and ended.state is JobState.FAILED else None,
        exit_code=int(ended.exit_code) if ended else None,
        created=datetime.fromisoformat(record.created),
        finished=datetime.fromisoformat(ended.finished) if ended else None,
    )


def _lost(folder: JobFolder, record: Record) -> Ended:
    """Say how a job ended whose supervisor is gone without a word; kept, so that the time does not move."""
    if folder.cancel.exists():
        ended = Ended(state=JobState.CANCELLED, finished=now(), exit_code=ExitCode.CANCELLED)
    elif record.boot != boot_id():
        reason = "this machine was restarted while the job ran"
        ended = Ended(state=JobState.FAILED, finished=now(), exit_code=ExitCode.LOST, reason=reason)
    else:
        reason = "the process that watched over the job was killed"
        ended = Ended(state=JobState.FAILED, finished=now(), exit_code=ExitCode.LOST, reason=reason)
    if end := folder.launcher().end:
        subprocess.run(end, capture_output=True, check=False)
    folder.end(ended)
    return ended


def _attempt(folder: JobFolder) -> int:
    try:
        return int(folder.attempt.read_text())
    except (FileNotFoundError, ValueError):
        return 1


def _unit(folder: JobFolder, index: int, name: str, ended: Ended | None) -> UnitStatus:
    result = UnitResult.read(folder.unit(index) / RESULT)
    if result:
        state = JobState.FAILED if result.exit_code else JobState.SUCCEEDED
        error = result.error
        return UnitStatus(
            name=name,
            state=state,
            message=error.message if error else None,
            hint=error.hint if error else None,
            details=error.details if error else None,
            exit_code=result.exit_code,
            progress=None if result.exit_code else 100.0,
        )
    begun = folder.log(index).exists()
    if ended:
        state = JobState.CANCELLED if ended.state is JobState.CANCELLED else JobState.FAILED
        message = ended.reason if begun or not ended.reason else f"it did not run: {ended.reason}"
        return UnitStatus(name=name, state=state, message=message, exit_code=int(ended.exit_code))
    if not begun:
        return UnitStatus(name=name, state=JobState.PENDING)
    lines = folder.tail(index)
    return UnitStatus(
        name=name,
        state=JobState.RUNNING,
        progress=last_progress(lines),
        message=last_status(lines),
        attempt=_attempt(folder),
    )
