"""Calls of the deployed function: spawned, asked, cancelled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backends.exit_codes import ExitCode
from backends.modal.record import Outcome, Record
from backends.modal.request import FUNCTION, MOUNT, VOLUME, ModalRequest
from backends.modal.session import ANSWER_S, Session
from backends.models import JobState

RETRIED = (ExitCode.INTERNAL, ExitCode.TRANSIENT, ExitCode.LOST, ExitCode.TERMINATED)
ASKED_AT_ONCE = 50
EXPIRED = "Modal keeps results for 7 days, and this one has expired"
_RETRIED_ERROR = re.compile(r"renderer: try (\d+) ended with exit code (\d+): (.*)", re.DOTALL)


def spawn(session: Session, request: ModalRequest, record: Mapping[str, Any]) -> str:
    """Call the function once for each unit; give the id of the call."""
    payloads = [_payload(request, index) for index in range(len(request.units))]
    payloads[0]["record"] = record

    def act() -> str:
        modal = session.modal
        function = modal.Function.from_name(request.deployment.app, FUNCTION, environment_name=session.environment)
        options = dict(request.options)
        if request.secrets:
            options["secrets"] = [
                modal.Secret.from_name(name, environment_name=session.environment) for name in request.secrets
            ]
        if options:
            function = function.with_options(**options)
        call = function.spawn(payloads[0]) if len(payloads) == 1 else function.experimental_spawn_map(payloads)
        return str(call.object_id)

    return session.call(act, seconds=ANSWER_S + len(payloads))


def _payload(request: ModalRequest, index: int) -> dict[str, Any]:
    return {
        "unit": index,
        "command": [*request.command, "--unit", str(index)],
        "env": dict(request.env),
        "retried": [int(code) for code in RETRIED],
        "volume": VOLUME,
        "mount": MOUNT,
    }


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

    answers = session.call(lambda: asyncio.run(ask_all()), seconds=ANSWER_S + wait + len(units) / ASKED_AT_ONCE)
    found = {unit: _outcome(session, record, answer) for unit, answer in zip(units, answers, strict=True)}
    return {unit: outcome for unit, outcome in found.items() if outcome}


def cancel(session: Session, record: Record, *, kill: bool = False) -> None:
    """Ask Modal to end a call; with ``kill`` its containers, too."""
    call = session.modal.FunctionCall.from_id(record.call)
    session.call(lambda: call.cancel(terminate_containers=kill))


def _outcome(session: Session, record: Record, answer: object) -> Outcome | None:
    """Read what Modal says of a unit; None while it has not ended."""
    if isinstance(answer, dict):
        state = JobState.FAILED if answer["exit_code"] else JobState.SUCCEEDED
        return Outcome(state=state, **answer)
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


def _other(session: Session, record: Record, answer: object) -> Outcome:
    exceptions = session.modal.exception
    if type(answer) is exceptions.RemoteError or isinstance(answer, exceptions.InternalFailure):
        if record.cancelled or _terminated(session, record):
            return Outcome(state=JobState.CANCELLED, exit_code=ExitCode.CANCELLED)
        hint = "it may have run out of memory: raise --memory; or let Modal try again: --retries 2"
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
