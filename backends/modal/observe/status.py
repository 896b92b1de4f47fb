"""Finds out the state of a call, from Modal's answers and from the call's record on this machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from backends.chunk_store.shard_results import explain_whole
from backends.errors import OutputError
from backends.exit_codes import ExitCode
from backends.modal.call_store import CallRecord, UnitOutcome
from backends.modal.observe import logs, prices, shards, unit_results
from backends.modal.observe.unit_results import EXPIRED
from backends.modal.session import Session
from backends.modal.volume import Files
from backends.models import JobHandle, JobState, JobStatus, UnitStatus
from backends.problem import Problem
from backends.untrusted import parse_result
from backends.worker_protocol import RESULT, UnitResult, last_progress

MANY_UNITS = 20
LONG_WAIT_S = 30.0  # after this time, the status of a waiting job suggests another GPU


class Progress(NamedTuple):
    """How far a unit is."""

    percent: float | None = None
    activity: str | None = None


def refresh(session: Session, files: Files, record: CallRecord) -> tuple[CallRecord, dict[int, Progress]]:
    """Ask Modal about the units that had not ended. Return the updated record, and the progress of running units."""
    if not record.open:
        return record, {}
    found = unit_results.find_outcomes(session, record, _choose_units(files, record))
    record = record.with_news({unit: _prefer_stored(files, record, unit, outcome) for unit, outcome in found.items()})
    if not record.open:
        return record, {}
    if record.shards:
        moment, unit = shards.read_progress(session, files, record)
        return record.with_news({}, {0: moment} if moment else {}), {0: Progress(unit.progress, unit.activity)}
    texts: dict[int, list[str]] = {}
    started: dict[int, str] = {}
    for line, moment in logs.read_tail(session, record, files.limits):
        started.setdefault(line.unit, moment)
        texts.setdefault(line.unit, []).append(line.text)
    return record.with_news({}, started), {unit: Progress(last_progress(lines)) for unit, lines in texts.items()}


def _choose_units(files: Files, record: CallRecord) -> list[int]:
    """Return the units to ask Modal about.

    Each question takes time. So of more than ``MANY_UNITS`` open units, only the first are asked about, and those
    that have ended according to the volume.
    """
    if len(record.open) <= MANY_UNITS:
        return record.open
    ended = {entry.path.rpartition("/")[2] for entry in files.list(f"{record.outputs}/ended")}
    return [unit for position, unit in enumerate(record.open) if position < MANY_UNITS or str(unit) in ended]


def _prefer_stored(files: Files, record: CallRecord, unit: int, outcome: UnitOutcome) -> UnitOutcome:
    """Return the outcome; if Modal's copy of the result has expired, return the one that the worker stored."""
    if record.shards and outcome.state is JobState.SUCCEEDED:
        found = shards.find_result(files, record)
        return replace(outcome, activity=explain_whole(found[1])) if found else outcome
    if outcome.problem is None or outcome.problem.message != EXPIRED:
        return outcome
    if record.shards:
        found = shards.find_result(files, record)
        return _read_stored(found[1]) if found else outcome
    try:
        content = files.read(f"{record.outputs}/{unit}/{RESULT}", limit=files.limits.result)
        if content is None:
            return outcome
        result = parse_result(content, unit=record.units[unit], limits=files.limits)
    except OutputError as error:
        problem = Problem(message=str(error), hint=error.hint, exit_code=error.exit_code)
        return UnitOutcome(state=JobState.FAILED, problem=problem)
    return _read_stored(result)


def _read_stored(result: UnitResult) -> UnitOutcome:
    state = JobState.FAILED if result.exit_code else JobState.SUCCEEDED
    return UnitOutcome(state=state, problem=result.error, seconds=result.seconds.get("total", 0.0))


def describe(handle: JobHandle, record: CallRecord, progress: dict[int, Progress]) -> JobStatus:
    """Return the status of a job, from the record of its call."""
    state = _job_state(record)
    return JobStatus(
        handle=handle,
        name=record.name,
        state=state,
        units=tuple(_unit_status(record, index, progress.get(index, Progress())) for index in range(len(record.units))),
        problem=_job_problem(handle, record, state),
        created=datetime.fromisoformat(record.created),
        finished=datetime.fromisoformat(record.finished) if record.finished else None,
        notes=(f"https://modal.com/id/{record.call}", *([_describe_cost(record)] if record.cpu else [])),
    )


def _unit_status(record: CallRecord, index: int, progress: Progress) -> UnitStatus:
    outcome = record.outcomes.get(index)
    if outcome is None:
        state = JobState.RUNNING if index in record.started else JobState.PENDING
        return UnitStatus(name=record.units[index], state=state, progress=progress.percent, activity=progress.activity)
    return UnitStatus(
        name=record.units[index],
        state=outcome.state,
        progress=100.0 if outcome.state is JobState.SUCCEEDED else None,
        problem=outcome.problem,
        attempt=outcome.attempt,
        activity=outcome.activity,
    )


def _job_state(record: CallRecord) -> JobState:
    states = {outcome.state for outcome in record.outcomes.values()}
    if record.open:
        return JobState.RUNNING if record.started or states else JobState.PENDING
    return next((state for state in (JobState.CANCELLED, JobState.FAILED) if state in states), JobState.SUCCEEDED)


def _job_problem(handle: JobHandle, record: CallRecord, state: JobState) -> Problem | None:
    if state is JobState.PENDING:
        return _describe_wait(record)
    problem = next(
        (record.outcomes[unit].problem for unit in sorted(record.outcomes) if record.outcomes[unit].problem), None
    )
    if problem is None:
        return None
    if state is JobState.FAILED:
        return replace(problem, hint=f"renderer logs {handle}", details=None, from_job=False)
    code = ExitCode.CANCELLED if state is JobState.CANCELLED else None
    return Problem(message=problem.message, exit_code=code)


def _describe_wait(record: CallRecord) -> Problem:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(record.created)).total_seconds()
    gpu = " or ".join(record.gpus)
    message = f"waiting for {gpu} at Modal" if gpu else "waiting for a container at Modal"
    if seconds < LONG_WAIT_S or not gpu:
        return Problem(message=message)
    return Problem(message=f"{message} for {seconds:.0f} s", hint="another GPU may be free: --gpu A10G,L4,T4")


def _describe_cost(record: CallRecord) -> str:
    moment = datetime.now(UTC)
    seconds = sum(outcome.seconds for outcome in record.outcomes.values())
    for index, started in record.started.items():
        if index not in record.outcomes:
            seconds += (moment - datetime.fromisoformat(started)).total_seconds() * (record.shards or 1)
    dollars = seconds * prices.dollars_per_second(record.gpus, record.cpu, record.memory_mib)
    spent = f"about ${dollars:.4f}{' so far' if record.open else ''} for {seconds:.0f} s"
    return f"{spent}, at the prices of {prices.SOURCE} on {prices.AS_OF}"
