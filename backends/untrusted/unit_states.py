"""How far the units of one worker are, in one line of text: a pod that runs several units reports them with it.

``{"ok": "0-2,5", "bad": {"4": [10, "it raised ValueError"]}, "run": {"3": [42.0, 17]}}`` holds indexes of units: of
those that succeeded, those that failed (exit code, message), and those that run (progress in percent or null, seconds).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

MESSAGE_LIMIT = 300  # characters
_MAX_EXIT_CODE = 255
_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


@dataclass(frozen=True)
class UnitReported:
    """One unit. ``exit_code`` is None while it runs, ``message`` says why it failed; it has run for ``seconds``."""

    exit_code: int | None = None
    progress: float | None = None
    message: str | None = None
    seconds: float | None = None


def dump_units(units: Mapping[int, UnitReported], limit: int | None = None) -> str:
    """Return the line. To keep it within ``limit`` characters, messages are cut, and left out at last."""
    for length in (MESSAGE_LIMIT, 100, 40, 0):
        content = {
            "ok": dump_indexes(unit for unit, state in units.items() if state.exit_code == 0),
            "bad": {
                unit: [state.exit_code, (state.message or "")[:length]]
                for unit, state in units.items()
                if state.exit_code
            },
            "run": {unit: [state.progress, state.seconds] for unit, state in units.items() if state.exit_code is None},
        }
        text = json.dumps(content, separators=(",", ":"))
        if limit is None or len(text) <= limit:
            break
    return text


def parse_units(content: object, known: Collection[int]) -> dict[int, UnitReported]:
    """Return the units that a parsed line names. What is not of this form, or not among the ``known``, is left out."""
    found: dict[int, UnitReported] = {}
    if not isinstance(content, dict):
        return found
    for key, value in _items(content.get("run")):
        progress, seconds = value if isinstance(value, list) and len(value) == 2 else (None, None)  # noqa: PLR2004
        found[key] = UnitReported(progress=_parse_number(progress, 100), seconds=_parse_number(seconds, 1e9))
    for key, value in _items(content.get("bad")):
        if isinstance(value, list) and len(value) == 2 and _is_exit_code(value[0]):  # noqa: PLR2004 - code, message
            message = str(value[1])[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()
            found[key] = UnitReported(exit_code=value[0], message=message or None)
    succeeded = content.get("ok")
    for unit in parse_indexes(succeeded if isinstance(succeeded, str) else "", max(known, default=-1)):
        found[unit] = UnitReported(exit_code=0)
    return {unit: state for unit, state in found.items() if unit in known}


def dump_indexes(indexes: Iterable[int]) -> str:
    """Return a set of indexes in Kubernetes' notation: 0, 1, 2 and 5 are ``0-2,5``."""
    spans: list[list[int]] = []
    for index in sorted(indexes):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def parse_indexes(text: str, most: int) -> Iterator[int]:
    """Yield the indexes up to ``most`` of a set in Kubernetes' notation; nothing for other text."""
    for first, last in _spans(text):
        yield from range(first, min(last, most) + 1)


def count_indexes(text: str) -> int:
    """Return how many indexes a set in Kubernetes' notation has."""
    return sum(last - first + 1 for first, last in _spans(text) if last >= first)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for span in text.split(",") if text else ():
        found = _SPAN.fullmatch(span)
        if found:
            yield int(found[1]), int(found[2] or found[1])


def _items(value: object) -> Iterator[tuple[int, object]]:
    for key, item in value.items() if isinstance(value, dict) else ():
        if key.isascii() and key.isdecimal():
            yield int(key), item


def _is_exit_code(value: object) -> bool:
    return type(value) is int and 0 < value <= _MAX_EXIT_CODE


def _parse_number(value: object, most: float) -> float | None:
    if not isinstance(value, (int, float)) or math.isnan(value):
        return None
    return float(min(max(value, 0), most))
