"""Finds out how units ended, from what the function returned or from Modal's errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from backends.exit_codes import ExitCode
from backends.modal import calls
from backends.modal.call_store import CallRecord, UnitOutcome
from backends.modal.errors import translate_error
from backends.modal.session import Session
from backends.models import JobState
from backends.problem import Problem

if TYPE_CHECKING:
    from backends.modal.deploy.render_function import UnitOutput

EXPIRED = "Modal keeps results for 7 days, and this one has expired"
MORE_MEMORY = "raise --memory, or lower the resolution"
_MEMORY = re.compile(r"\boom\b|oom.?kill|memory|exit code:? (137|-9)\b", re.IGNORECASE)
_RETRIED_ERROR = re.compile(r"renderer: attempt (\d+) ended with exit code (\d+): (.*)", re.DOTALL)
_CLIENT_PACKAGES = ("aiohttp", "grpclib", "modal")  # their errors are failures of the connection, not of the function


def find_outcomes(
    session: Session, record: CallRecord, units: Sequence[int], *, wait: float = 0.0
) -> dict[int, UnitOutcome]:
    """Return the outcomes of those units that have ended. Wait at most ``wait`` seconds for each."""
    answers = calls.fetch_answers(session, record.call, units, wait=wait)
    found = {unit: _read_answer(session, record, answer) for unit, answer in zip(units, answers, strict=True)}
    return {unit: outcome for unit, outcome in found.items() if outcome}


def _read_answer(session: Session, record: CallRecord, answer: object) -> UnitOutcome | None:
    """Return the outcome for one of Modal's answers; None if the unit has not ended yet."""
    if type(answer) is TimeoutError:
        return None
    if isinstance(answer, dict):
        return _read_output(record, cast("UnitOutput", answer))
    if match := _RETRIED_ERROR.search(str(answer)):
        problem = Problem(message=match[3], exit_code=int(match[2]))
        return UnitOutcome(state=JobState.FAILED, problem=problem, attempt=int(match[1]))
    return _read_error(session, record, answer)


def _read_error(session: Session, record: CallRecord, answer: object) -> UnitOutcome:
    """Return the outcome for an error. Raises a RendererError if the error is one of the connection to Modal."""
    exceptions = session.modal.exception
    if isinstance(answer, (exceptions.OutputExpiredError, exceptions.NotFoundError)):
        return _failed(ExitCode.LOST, EXPIRED, "files that were stored can still be fetched")
    if isinstance(answer, exceptions.FunctionTimeoutError):
        return _failed(
            ExitCode.TIMEOUT, "Modal ended it: it took longer than --timeout and a minute", "raise --timeout"
        )
    if type(answer) is exceptions.RemoteError or isinstance(answer, exceptions.InternalFailure):
        return _read_container_error(session, record, str(answer))
    if isinstance(answer, BaseException) and type(answer).__module__.partition(".")[0] in _CLIENT_PACKAGES:
        raise translate_error(answer) from answer
    message = f"the function at Modal failed: {type(answer).__name__}: {answer}"
    return _failed(ExitCode.INTERNAL, message, "does the image contain the worker? `renderer logs` shows more")


def _read_output(record: CallRecord, output: UnitOutput) -> UnitOutcome:
    """Return the outcome for what the function returned."""
    code = output["exit_code"]
    if code == ExitCode.OK:
        return _outcome(JobState.SUCCEEDED, None, output)
    message = output["message"] or f"the worker ended with exit code {code}"
    problem = Problem(message=message, hint=output["hint"], details=output["details"], exit_code=code)
    if code == ExitCode.OUT_OF_MEMORY:
        problem = replace(problem, message=f"{message} ({_requested_memory(record)})", hint=MORE_MEMORY)
    return _outcome(JobState.FAILED, problem, output)


def _outcome(state: JobState, problem: Problem | None, output: UnitOutput) -> UnitOutcome:
    return UnitOutcome(state=state, problem=problem, seconds=output["seconds"], attempt=output["attempt"])


def _read_container_error(session: Session, record: CallRecord, said: str) -> UnitOutcome:
    """Return the outcome for a container that ended without a result: cancelled, out of memory, or lost.

    The error itself does not show a cancellation, so the record and the states of the call's inputs are read.
    """
    if record.cancelled or "TERMINATED" in calls.list_input_states(session, record.call):
        return UnitOutcome(state=JobState.CANCELLED)
    if _MEMORY.search(said):
        message = f"it ran out of memory at Modal ({_requested_memory(record)}): {said}"
        return _failed(ExitCode.OUT_OF_MEMORY, message, MORE_MEMORY)
    hint = "let Modal try again: --retries 2; if it happens every time, raise --memory"
    return _failed(ExitCode.LOST, f"the container at Modal was lost: {said}", hint)


def _requested_memory(record: CallRecord) -> str:
    return f"{record.memory_mib / 1024:g} GiB were requested"


def _failed(code: ExitCode, message: str, hint: str) -> UnitOutcome:
    return UnitOutcome(state=JobState.FAILED, problem=Problem(message=message, hint=hint, exit_code=code))
