"""Parses result.json by a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from backends.errors import OutputError, ResultError
from backends.problem import Problem
from backends.untrusted.limits import Limits
from backends.untrusted.names import check_relative_name
from backends.untrusted.text import show_line
from backends.worker_protocol import Output, UnitResult

MAX_TEXT = 64 * 2**10  # characters of one text
MAX_DEPTH = 6  # of the values in ``render`` and ``encoder``
MAX_NUMBER = 2**63 - 1
MAX_EXIT_CODE = 255
SCHEMA = 1


def parse_result(data: bytes, *, unit: str, limits: Limits | None = None) -> UnitResult:
    """Return the unit's result. Its name is ``unit``; the name in the document is ignored.

    Unknown keys are dropped. Raises ResultError for everything that the worker does not write.
    """
    limits = limits or Limits()
    try:
        if len(data) > limits.result:
            _refuse("it is too large")
        content = json.loads(data, parse_constant=lambda name: _refuse(f"it holds {name}"))
        return _read(_mapping(content), unit, limits)
    except (ValueError, OutputError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ResultError(
            f"the result of {show_line(unit)} is damaged: {error}", hint="submit the job again"
        ) from error


def _read(content: Mapping[str, object], unit: str, limits: Limits) -> UnitResult:
    if content.get("schema") != SCHEMA:
        _refuse("it has another format")
    exit_code = _whole(content.get("exit_code"), MAX_EXIT_CODE)
    return UnitResult(
        unit=unit,
        exit_code=exit_code,
        outputs=_outputs(content.get("outputs"), limits),
        error=_problem(content.get("error"), exit_code),
        render={key: copy_json(value) for key, value in _items(content.get("render"))},
        encoder={key: copy_json(value) for key, value in _items(content.get("encoder"))},
        versions={key: _text(value) for key, value in _items(content.get("versions"))},
        seconds={key: _seconds(value) for key, value in _items(content.get("seconds"))},
        started=_text(content.get("started")),
        finished=_text(content.get("finished")),
    )


def _outputs(value: object, limits: Limits) -> tuple[Output, ...]:
    if not isinstance(value, list) or len(value) > limits.files:
        _refuse(f"its outputs are not a list of at most {limits.files}")
    outputs = tuple(_output(_mapping(item)) for item in value)
    if len({output.path for output in outputs}) < len(outputs):
        _refuse("it names an output twice")
    return outputs


def _output(item: Mapping[str, object]) -> Output:
    digest = _text(item.get("sha256"))
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        _refuse("a sha256 is not one")
    path = item.get("path")
    if not isinstance(path, str):
        _refuse("an output has no path")
    return Output(path=str(check_relative_name(path)), size=_whole(item.get("size"), MAX_NUMBER), sha256=digest)


def _problem(value: object, exit_code: int) -> Problem | None:
    if value is None:
        return None
    item = _mapping(value)
    message, hint, details = (_cut(item.get(key)) for key in ("message", "hint", "details"))
    return Problem(
        message=_text(message),
        hint=None if hint is None else _text(hint),
        details=None if details is None else _text(details),
        exit_code=exit_code,
        from_job=True,
    )


def _cut(value: object) -> object:
    """Return the first MAX_TEXT characters of a text. It is no error: a real error message may have any length."""
    return value[:MAX_TEXT] if isinstance(value, str) else value


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else _refuse("it is not a JSON object where one is expected")


def _items(value: object) -> list[tuple[str, object]]:
    return [(_text(key), item) for key, item in _mapping(value).items()]


def _text(value: object) -> str:
    """Return the text with lone surrogates replaced, because they cannot be printed or written to a file."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        _refuse("a text is missing or too long")
    return value.encode("utf-8", "replace").decode()


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        _refuse("a number is missing or out of its range")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        _refuse("a duration is not a number")
    return float(value)


def copy_json(value: object, depth: int = MAX_DEPTH) -> object:
    """Return a copy of a JSON value with printable text.

    Raises ValueError if it is nested too deeply, or has a number or a text that is too large.
    """
    if depth == 0:
        _refuse("it is nested too deeply")
    if isinstance(value, dict):
        return {_text(key): copy_json(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item, depth - 1) for item in value]
    if isinstance(value, (int, float)) and not abs(value) <= MAX_NUMBER:  # NaN is not, either
        _refuse("a number is too large")
    return _text(value) if isinstance(value, str) else value


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)
