"""The report that a pod writes to its termination log, where kubectl and the client can read it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from backends.problem import Problem
from backends.untrusted.unit_states import UnitReported, dump_units, parse_units
from backends.worker_protocol import directive

SIZE_LIMIT = 3500  # bytes; Kubernetes keeps 4096
MESSAGE_LIMIT, DETAILS_LIMIT = 1000, 1500  # characters
SHORT_LIMIT = 300  # characters of the message beside the states of units


def dump_report(problem: Problem, units: Mapping[int, UnitReported] | None = None) -> bytes:
    """Return the report of a problem as JSON, with the states of all ``units`` of a pod that has several."""
    content: dict[str, object] = {
        "message": problem.message[: MESSAGE_LIMIT if units is None else SHORT_LIMIT],
        "hint": problem.hint,
        "details": (problem.details or "")[-DETAILS_LIMIT:] or None,
    }
    if units is not None:
        content["units"] = json.loads(dump_units(units, SIZE_LIMIT - len(json.dumps(content)) - len(',"units":')))
    return json.dumps(content, separators=None if units is None else (",", ":")).encode()[:SIZE_LIMIT]


def parse_unit_reports(text: str, units: Collection[int]) -> dict[int, UnitReported]:
    """Return how the ``units`` of a pod ended, as far as its termination message says so."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parse_units(content.get("units"), units) if isinstance(content, dict) else {}


def parse_report(text: str) -> Problem | None:
    """Return the problem that a termination message describes; None for an empty one.

    The message is our JSON, or the end of the log where the container could not write it. The job can write anything
    there: what is not a text of the usual size does not count.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return _parse_log(text)
    if not isinstance(content, dict) or not (message := _read_text(content.get("message"))):
        return None
    hint, details = _read_text(content.get("hint")), _read_text(content.get("details"))
    return Problem(message=message[:MESSAGE_LIMIT], hint=hint and hint[:MESSAGE_LIMIT], details=details, from_job=True)


def _read_text(value: object) -> str | None:
    return _clean(value) if isinstance(value, str) and value.strip() else None


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and no terminal or file can take."""
    return text.encode("utf-8", "replace").decode()


def _parse_log(text: str) -> Problem | None:
    lines = [line for line in text.splitlines() if line.strip()]
    failures = {line: found[1] for line in lines if (found := directive(line)) and found[0] == "fail"}
    message = [*lines, *failures.values()][-1] if lines else ""
    details = "\n".join(line for line in lines if line not in failures) or None
    return Problem(message=message[:MESSAGE_LIMIT], details=details, from_job=True) if message else None
