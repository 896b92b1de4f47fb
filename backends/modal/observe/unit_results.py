"""Finds out how units ended, from what the function returned or from Modal's errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from backends.errors import ResultError
from backends.exit_codes import MORE_MEMORY, ExitCode
from backends.modal import calls
from backends.modal.call_store import CallRecord, UnitOutcome
from backends.modal.calls import Answer
from backends.modal.errors import translate_error
from backends.modal.observe.answer_format import UnitEnd, decode_answer, decode_exception, decode_loss
from backends.modal.session import Session
from backends.models import JobState
from backends.problem import Problem
from backends.untrusted import show_line

EXPIRED = "Modal keeps results for 7 days, and this one has expired"
MAX_TEXT = 2000  # characters of an error that are shown
_MEMORY = re.compile(r"\boom\b|oom.?kill|memory|exit code:? (137|-9)\b", re.IGNORECASE)
_CLIENT_PACKAGES = ("aiohttp", "grpclib", "modal")  # their errors are failures of the connection


def find_outcomes(
    session: Session, record: CallRecord, units: Sequence[int], *, wait: float = 0.0
) -> dict[int, UnitOutcome]:
    """Return the outcomes of those units that have ended. Wait at most ``wait`` seconds for each."""
    answers = calls.fetch_answers(session, record.call, units, wait=wait)
    found = {unit: _read_answer(session, record, answer) for unit, answer in zip(units, answers, strict=True)}
    return {unit: outcome for unit, outcome in found.items() if outcome}


def _read_answer(session: Session, record: CallRecord, answer: Answer | BaseException | None) -> UnitOutcome | None:
    """Return the outcome for one answer; None if the unit has not ended yet. Raises if Modal could not be asked."""
    if isinstance(answer, BaseException):
        if type(answer).__module__.partition(".")[0] in _CLIENT_PACKAGES:
            raise translate_error(answer) from answer
        raise answer
    if answer is None:
        return None
    try:
        return _find_outcome(session, record, answer)
    except ResultError as error:
        return _failed(error.exit_code, str(error), error.hint)


def _find_outcome(session: Session, record: CallRecord, answer: Answer) -> UnitOutcome:
    if record.shards and answer.status == "SUCCESS" and (loss := decode_loss(answer.data)):
        lost, seconds, attempt = loss
        return replace(_find_outcome(session, record, lost), seconds=seconds, attempt=attempt)
    known = _KNOWN.get(answer.status)
    if answer.status == "SUCCESS":
        old = answer.data is None and not record.folder  # older versions answered in another format
        known = _KNOWN[calls.EXPIRED] if old else _read_end(record, decode_answer(answer.data))
    elif end := decode_exception(answer.text):
        known = _read_end(record, end)
    return known or _read_failure(session, record, answer)


def _read_failure(session: Session, record: CallRecord, answer: Answer) -> UnitOutcome:
    text = show_line(answer.text.strip()[:MAX_TEXT])
    if answer.raised:
        hint = "does the image contain the worker? The log shows more"
        return _failed(ExitCode.INTERNAL, f"the function at Modal failed: {text}", hint)
    return _read_container_error(session, record, text)


def _read_end(record: CallRecord, end: UnitEnd) -> UnitOutcome:
    """Return the outcome for what the function returned."""
    problem = end.problem
    if problem and problem.exit_code == ExitCode.OUT_OF_MEMORY:
        message = f"{problem.message} ({_requested_memory(record)})"
        problem = replace(problem, message=message, hint=MORE_MEMORY, from_job=False)
    elif problem and problem.exit_code == ExitCode.INPUT and not problem.hint:
        problem = replace(problem, hint="submit the job again", from_job=False)
    state = JobState.FAILED if problem else JobState.SUCCEEDED
    return UnitOutcome(state=state, problem=problem, seconds=end.seconds, attempt=end.attempt)


def _read_container_error(session: Session, record: CallRecord, text: str) -> UnitOutcome:
    """Return the outcome for a container that ended without a result: cancelled, out of memory, or lost.

    The error itself may not show a cancellation, so the record and the states of the call's inputs are read.
    """
    if record.cancelled or "TERMINATED" in calls.list_input_states(session, record.call):
        return UnitOutcome(state=JobState.CANCELLED)
    if _MEMORY.search(text):
        message = f"it ran out of memory at Modal ({_requested_memory(record)}): {text}"
        return _failed(ExitCode.OUT_OF_MEMORY, message, MORE_MEMORY)
    hint = "let Modal try again: --retries 2; if it happens every time, raise --memory"
    return _failed(ExitCode.LOST, f"the container at Modal was lost: {text}", hint)


def _requested_memory(record: CallRecord) -> str:
    return f"{record.memory_mib / 1024:g} GiB were requested"


def _failed(code: ExitCode, message: str, hint: str | None) -> UnitOutcome:
    return UnitOutcome(state=JobState.FAILED, problem=Problem(message=message, hint=hint, exit_code=code))


_KNOWN = {
    calls.EXPIRED: _failed(ExitCode.LOST, EXPIRED, "files that were stored can still be fetched"),
    "TIMEOUT": _failed(
        ExitCode.TIMEOUT, "Modal ended it: it took longer than --timeout and a minute", "raise --timeout"
    ),
    "TERMINATED": UnitOutcome(state=JobState.CANCELLED),
}
