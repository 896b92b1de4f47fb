"""Reads what the function returned: JSON in a CBOR text string, checked by a schema. It never unpickles.

The container may send anything, so whatever ``deploy.render_function`` would not send is refused.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from backends.errors import ResultError
from backends.modal.calls import Answer
from backends.problem import Problem

MAX_BYTES = 64 * 1024  # the function sends at most a tenth
MAX_SECONDS = 10**8
MAX_ATTEMPTS = 10**6
MAX_EXIT_CODE = 255
RETRY = "renderer: "  # begins the text of an exception that holds an answer
# How many bytes hold the length of a CBOR text string (RFC 8949, section 3), by the first byte
_LENGTHS = {0x78: 1, 0x79: 2, 0x7A: 4}
_SHORT = 0x60


@dataclass(frozen=True, kw_only=True)
class UnitEnd:
    """How a unit ended, as the function says. ``problem`` is None for a unit that succeeded."""

    exit_code: int
    problem: Problem | None
    attempt: int
    seconds: float


def decode_answer(data: bytes | None) -> UnitEnd:
    """Return the answer that the bytes hold. Raises ResultError for everything that the function would not return."""
    try:
        if data is None:
            _refuse("it has a format that is not read")
        return _read(_decode_text(data))
    except (ValueError, RecursionError) as error:
        raise _damaged(error) from error


def decode_exception(text: str) -> UnitEnd | None:
    """Return the answer in the text of an exception; None for one that our function did not raise on purpose."""
    if not text.startswith(RETRY):
        return None
    try:
        return _read(text.removeprefix(RETRY))
    except (ValueError, RecursionError) as error:
        raise _damaged(error) from error


def decode_loss(data: bytes | None) -> tuple[Answer, float, int] | None:
    """Return how the container of a shard was lost, with the seconds and attempts of all; None for another answer."""
    with suppress(ValueError, RecursionError):
        content = json.loads(_decode_text(data or b""))
        if isinstance(content, dict) and isinstance(status := content.get("status"), str):
            answer = Answer(status=status, text=_text(content.get("text")) or "", raised=content.get("raised") is True)
            return answer, _seconds(content.get("seconds")), _number(content.get("attempt"), 1, MAX_ATTEMPTS)
    return None


def _damaged(error: Exception) -> ResultError:
    return ResultError(f"the answer of its container at Modal is damaged: {error}", hint="submit the job again")


def _decode_text(data: bytes) -> str:
    """Return the one CBOR text string of definite length that the bytes are."""
    if len(data) > MAX_BYTES:
        _refuse("it is too large")
    first = data[0] if data else 0
    if _SHORT <= first < _SHORT + 24:
        begin, size = 1, first - _SHORT
    elif first in _LENGTHS:
        begin = 1 + _LENGTHS[first]
        size = int.from_bytes(data[1:begin], "big")
    else:
        _refuse("it is not a text")
    if len(data) != begin + size:
        _refuse("its length is wrong")
    return data[begin:].decode()


def _read(text: str) -> UnitEnd:
    if len(text) > MAX_BYTES:
        _refuse("it is too large")
    content = json.loads(text, parse_constant=lambda name: _refuse(f"it holds {name}"))
    if not isinstance(content, dict):
        _refuse("it is not a JSON object")
    exit_code = _number(content.get("exit_code"), 0, MAX_EXIT_CODE)
    problem = None
    if exit_code:
        problem = Problem(
            message=_text(content.get("message")) or f"the worker ended with exit code {exit_code}",
            hint=_text(content.get("hint")),
            details=_text(content.get("details")),
            exit_code=exit_code,
            from_job=True,
        )
    attempt = _number(content.get("attempt"), 1, MAX_ATTEMPTS)
    return UnitEnd(exit_code=exit_code, problem=problem, attempt=attempt, seconds=_seconds(content.get("seconds")))


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_SECONDS:
        _refuse("its duration is not one")
    return float(value)


def _number(value: object, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        _refuse("a number is missing or out of its range")
    return value


def _text(value: object) -> str | None:
    """Return a text, with lone surrogates replaced, which no file can hold."""
    if value is not None and not isinstance(value, str):
        _refuse("a text is something else")
    return value.encode("utf-8", "replace").decode() if value else None


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)
