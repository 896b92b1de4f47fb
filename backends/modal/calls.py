"""Calls of the deployed function: asked how they are, and cancelled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from backends.exit_codes import ExitCode
from backends.modal.record import Outcome, Record
from backends.modal.session import ANSWER_S, Session
from backends.models import JobState

ASKED_AT_ONCE = 50
EACH_S = 0.1  # the slowest pace at which many are asked
MORE_MEMORY = "raise --memory, or lower the resolution"
EXPIRED = "Modal keeps results for 7 days, and this one has expired"
_MEMORY = re.compile(r"\boom\b|oom.?kill|memory|exit code:? (137|-9)\b", re.IGNORECASE)
_RETRIED_ERROR = re.compile(r"renderer: try (\d+) ended with exit code (\d+): (.*)", re.DOTALL)


def ask(session: Session, record: Record, units: Sequence[int], *, wait: float = 0.0) -> dict[int, Outcome]:
    """Give the outcomes of those units that have ended, after waiting for each at most ``wait`` seconds."""

    async def ask_all() -> list[object]:
        call = session.modal.FunctionCall.from_id(record.call)
        turn = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask_one(unit: int) -> object:
            async with turn:
                try:
                    return await call.get.aio(timeout=wait, index=unit)
                except Exception as error:  # noqa: BLE001  # an error is an answer, too
                    return error

        return await asyncio.gather(*(ask_one(unit) for unit in units))

    answers = session.call(lambda: asyncio.run(ask_all()), seconds=ANSWER_S + wait + len(units) * EACH_S)
    found = {unit: _outcome(session, record, answer) for unit, answer in zip(units, answers, strict=True)}
    return {unit: outcome for unit, outcome in found.items() if outcome}


def count_open(session: Session, call_id: str) -> int:
    """Count the inputs of a call that has not ended; 0 for one that has, or that Modal does not know."""

    def look() -> int:
        try:
            graph = session.modal.FunctionCall.from_id(call_id).get_call_graph()
        except session.modal.exception.NotFoundError:
            return 0
        own = [item.status.name for item in graph if item.function_call_id == call_id]
        return len(own) if "PENDING" in own else 0

    return session.call(look)


def cancel(session: Session, record: Record, *, kill: bool = False) -> None:
    """Ask Modal to end a call; with ``kill`` its containers, too."""
    call = session.modal.FunctionCall.from_id(record.call)
    session.call(lambda: call.cancel(terminate_containers=kill))


def _outcome(session: Session, record: Record, answer: object) -> Outcome | None:
    """Read what Modal says of a unit; None while it has not ended."""
    if isinstance(answer, dict):
        return _of_worker(record, Outcome(state=JobState.FAILED, **answer))
    exceptions = session.modal.exception
    if type(answer) is TimeoutError:
        return None
    if isinstance(answer, (exceptions.OutputExpiredError, exceptions.NotFoundError)):
        return Outcome(
            state=JobState.FAILED,
            exit_code=ExitCode.LOST,
            message=EXPIRED,
            hint="files that were stored can still be fetched",
        )
    if isinstance(answer, exceptions.FunctionTimeoutError):
        return _failed(
            ExitCode.TIMEOUT, "Modal ended it: it took longer than --timeout and a minute", "raise --timeout"
        )
    if match := _RETRIED_ERROR.search(str(answer)):
        return Outcome(state=JobState.FAILED, exit_code=int(match[2]), message=match[3], attempt=int(match[1]))
    return _other(session, record, answer)


def _of_worker(record: Record, outcome: Outcome) -> Outcome:
    """Take what the worker said of its own end."""
    if outcome.exit_code == ExitCode.OK:
        return replace(outcome, state=JobState.SUCCEEDED)
    if outcome.exit_code == ExitCode.OUT_OF_MEMORY:
        return replace(outcome, message=f"{outcome.message} ({_memory(record)})", hint=MORE_MEMORY)
    return outcome


def _memory(record: Record) -> str:
    return f"{record.memory_mib / 1024:g} GiB were asked for"


def _other(session: Session, record: Record, answer: object) -> Outcome:
    exceptions = session.modal.exception
    if type(answer) is exceptions.RemoteError or isinstance(answer, exceptions.InternalFailure):
        if record.cancelled or _terminated(session, record):
            return Outcome(state=JobState.CANCELLED, exit_code=ExitCode.CANCELLED)
        if _MEMORY.search(str(answer)):
            message = f"it ran out of memory at Modal ({_memory(record)}): {answer}"
            return _failed(ExitCode.OUT_OF_MEMORY, message, MORE_MEMORY)
        hint = "let Modal try again: --retries 2; if it happens every time, raise --memory"
        return _failed(ExitCode.LOST, f"the container at Modal was lost: {answer}", hint)
    if isinstance(answer, exceptions.Error):
        raise answer
    message = f"the function at Modal failed: {type(answer).__name__}: {answer}"
    return _failed(ExitCode.INTERNAL, message, "does the image hold the worker? `renderer logs` shows more")


def _terminated(session: Session, record: Record) -> bool:
    """Tell whether somebody cancelled the call at Modal; its errors do not say so."""
    call = session.modal.FunctionCall.from_id(record.call)
    graph = session.call(call.get_call_graph)
    return any(item.function_call_id == record.call and item.status.name == "TERMINATED" for item in graph)


def _failed(code: ExitCode, message: str, hint: str) -> Outcome:
    return Outcome(state=JobState.FAILED, exit_code=code, message=message, hint=hint)
