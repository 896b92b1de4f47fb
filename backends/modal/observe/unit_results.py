"""How units ended: the worker's own words where there are any, else what Modal's errors mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from backends.exit_codes import ExitCode
from backends.modal import calls
from backends.modal.call_store import Outcome, Record
from backends.modal.errors import in_words
from backends.modal.session import Session
from backends.models import JobState

EXPIRED = "Modal keeps results for 7 days, and this one has expired"
MORE_MEMORY = "raise --memory, or lower the resolution"
_MEMORY = re.compile(r"\boom\b|oom.?kill|memory|exit code:? (137|-9)\b", re.IGNORECASE)
_RETRIED_ERROR = re.compile(r"renderer: try (\d+) ended with exit code (\d+): (.*)", re.DOTALL)
_CLIENT_MODULES = ("aiohttp", "grpclib", "modal")  # errors of the way to Modal, not of the function


def ended(session: Session, record: Record, units: Sequence[int], *, wait: float = 0.0) -> dict[int, Outcome]:
    """Give the outcomes of those units that have ended, after waiting for each at most ``wait`` seconds."""
    answers = calls.answers(session, record.call, units, wait=wait)
    found = {unit: _outcome(session, record, answer) for unit, answer in zip(units, answers, strict=True)}
    return {unit: outcome for unit, outcome in found.items() if outcome}


def _outcome(session: Session, record: Record, answer: object) -> Outcome | None:
    """Read what Modal says of a unit; None while it has not ended."""
    if type(answer) is TimeoutError:
        return None
    if isinstance(answer, dict):
        return _of_worker(record, answer)
    if match := _RETRIED_ERROR.search(str(answer)):
        return Outcome(state=JobState.FAILED, exit_code=int(match[2]), message=match[3], attempt=int(match[1]))
    return _of_error(session, record, answer)


def _of_error(session: Session, record: Record, answer: object) -> Outcome:
    """Read an error that stands for a result. Raises, in words, what kept Modal from answering."""
    exceptions = session.modal.exception
    if isinstance(answer, (exceptions.OutputExpiredError, exceptions.NotFoundError)):
        return _failed(ExitCode.LOST, EXPIRED, "files that were stored can still be fetched")
    if isinstance(answer, exceptions.FunctionTimeoutError):
        return _failed(
            ExitCode.TIMEOUT, "Modal ended it: it took longer than --timeout and a minute", "raise --timeout"
        )
    if type(answer) is exceptions.RemoteError or isinstance(answer, exceptions.InternalFailure):
        return _of_container(session, record, str(answer))
    if isinstance(answer, BaseException) and type(answer).__module__.partition(".")[0] in _CLIENT_MODULES:
        raise in_words(answer) from answer
    message = f"the function at Modal failed: {type(answer).__name__}: {answer}"
    return _failed(ExitCode.INTERNAL, message, "does the image hold the worker? `renderer logs` shows more")


def _of_worker(record: Record, said: dict[str, object]) -> Outcome:
    """Take what the function returned of the worker's end."""
    outcome = Outcome(**{"state": JobState.FAILED, **said})  # type: ignore[arg-type]  # as render_function returns it
    if outcome.exit_code == ExitCode.OK:
        return replace(outcome, state=JobState.SUCCEEDED)
    if outcome.exit_code == ExitCode.OUT_OF_MEMORY:
        return replace(outcome, message=f"{outcome.message} ({_memory(record)})", hint=MORE_MEMORY)
    return outcome


def _of_container(session: Session, record: Record, said: str) -> Outcome:
    """Read how a container ended that gave no result. That somebody cancelled it, Modal's errors do not say."""
    if record.cancelled or "TERMINATED" in calls.input_states(session, record.call):
        return Outcome(state=JobState.CANCELLED, exit_code=ExitCode.CANCELLED)
    if _MEMORY.search(said):
        return _failed(
            ExitCode.OUT_OF_MEMORY, f"it ran out of memory at Modal ({_memory(record)}): {said}", MORE_MEMORY
        )
    hint = "let Modal try again: --retries 2; if it happens every time, raise --memory"
    return _failed(ExitCode.LOST, f"the container at Modal was lost: {said}", hint)


def _memory(record: Record) -> str:
    return f"{record.memory_mib / 1024:g} GiB were asked for"


def _failed(code: ExitCode, message: str, hint: str) -> Outcome:
    return Outcome(state=JobState.FAILED, exit_code=code, message=message, hint=hint)
