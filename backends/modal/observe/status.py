"""Tells the state of a call from what Modal says and what was seen before."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from backends.exit_codes import ExitCode
from backends.modal.call_store import Outcome, Record, merged
from backends.modal.observe import logs, prices, unit_results
from backends.modal.observe.unit_results import EXPIRED
from backends.modal.session import Session
from backends.modal.volume import Files
from backends.models import JobHandle, JobState, JobStatus, UnitStatus
from backends.worker_protocol import RESULT, last_progress

FEW = 20
PATIENCE_S = 30.0  # after it a job that waits is told what else could be done


def refresh(session: Session, files: Files, record: Record) -> tuple[Record, dict[int, float | None]]:
    """Ask Modal for what is still open; give the record as it is now, and the progress of units that run."""
    if not record.open:
        return record, {}
    found = unit_results.ended(session, record, _worth_asking(files, record))
    record = merged(record, {unit: _stored(files, record, unit, outcome) for unit, outcome in found.items()}, {})
    if not record.open:
        return record, {}
    texts: dict[int, list[str]] = {}
    started: dict[int, str] = {}
    for line, moment in logs.tail(session, record):
        started.setdefault(line.unit, moment)
        texts.setdefault(line.unit, []).append(line.text)
    return merged(record, {}, started), {unit: last_progress(said) for unit, said in texts.items()}


def _worth_asking(files: Files, record: Record) -> list[int]:
    """Choose the units to ask for: of many, those that the volume says have ended, and the first few to be sure."""
    if len(record.open) <= FEW:
        return record.open
    ended = {int(entry.path.rpartition("/")[2]) for entry in files.list(f"jobs/{record.call}/ended")}
    return [unit for place, unit in enumerate(record.open) if place < FEW or unit in ended]


def _stored(files: Files, record: Record, unit: int, outcome: Outcome) -> Outcome:
    """Put what the worker stored in place of a result that Modal no longer keeps."""
    content = files.read(f"jobs/{record.call}/{unit}/{RESULT}") if outcome.message == EXPIRED else None
    if content is None:
        return outcome
    result = json.loads(content)
    state = JobState.FAILED if result["exit_code"] else JobState.SUCCEEDED
    seconds = result["seconds"].get("total", 0.0)
    return Outcome(state=state, exit_code=result["exit_code"], seconds=seconds, **(result["error"] or {}))


def describe(handle: JobHandle, record: Record, progress: dict[int, float | None]) -> JobStatus:
    """Put a record into the words that every backend has."""
    units = tuple(_unit(record, index, progress.get(index)) for index in range(len(record.units)))
    state = _state(record)
    failed = next((record.outcomes[i] for i in sorted(record.outcomes) if record.outcomes[i].exit_code), None)
    reason, hint = _waiting(record) if state is JobState.PENDING else (failed.message if failed else None, None)
    return JobStatus(
        handle=handle,
        name=record.name,
        state=state,
        units=units,
        reason=reason,
        hint=f"renderer logs {handle}" if state is JobState.FAILED else hint,
        exit_code=_exit_code(state, failed),
        created=datetime.fromisoformat(record.created),
        finished=datetime.fromisoformat(record.finished) if record.finished else None,
        notes=(f"https://modal.com/id/{record.call}", *([_cost(record)] if record.cpu else [])),
    )


def _unit(record: Record, index: int, progress: float | None) -> UnitStatus:
    outcome = record.outcomes.get(index)
    if outcome is None:
        state = JobState.RUNNING if index in record.started else JobState.PENDING
        return UnitStatus(name=record.units[index], state=state, progress=progress)
    return UnitStatus(
        name=record.units[index],
        state=outcome.state,
        progress=100.0 if outcome.state is JobState.SUCCEEDED else None,
        message=outcome.message,
        hint=outcome.hint,
        details=outcome.details,
        exit_code=outcome.exit_code,
        attempt=outcome.attempt,
    )


def _state(record: Record) -> JobState:
    states = {outcome.state for outcome in record.outcomes.values()}
    if record.open:
        return JobState.RUNNING if record.started or states else JobState.PENDING
    return next((state for state in (JobState.CANCELLED, JobState.FAILED) if state in states), JobState.SUCCEEDED)


def _exit_code(state: JobState, failed: Outcome | None) -> int | None:
    if state is JobState.CANCELLED:
        return ExitCode.CANCELLED
    if state is JobState.FAILED and failed:
        return failed.exit_code
    return ExitCode.OK if state.terminal else None


def _waiting(record: Record) -> tuple[str, str | None]:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(record.created)).total_seconds()
    gpu = " or ".join(record.gpus)
    reason = f"waiting for {gpu} at Modal" if gpu else "waiting for a container at Modal"
    if seconds < PATIENCE_S or not gpu:
        return reason, None
    return f"{reason} since {seconds:.0f} s", "another GPU may be free: --gpu A10G,L4,T4"


def _cost(record: Record) -> str:
    moment = datetime.now(UTC)
    seconds = sum(outcome.seconds for outcome in record.outcomes.values())
    for index, started in record.started.items():
        if index not in record.outcomes:
            seconds += (moment - datetime.fromisoformat(started)).total_seconds()
    dollars = seconds * prices.second(record.gpus, record.cpu, record.memory_mib)
    spent = f"about ${dollars:.4f}{' so far' if record.open else ''} for {seconds:.0f} s"
    return f"{spent}, at the prices of {prices.SOURCE} on {prices.AS_OF}"
