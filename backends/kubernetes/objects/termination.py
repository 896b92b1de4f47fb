"""The report that a pod writes to its termination log, where kubectl and the client can read it."""

from __future__ import annotations

import json

from backends.problem import Problem
from backends.worker_protocol import directive

SIZE_LIMIT = 3500  # bytes; Kubernetes keeps 4096
MESSAGE_LIMIT, DETAILS_LIMIT = 1000, 1500  # characters


def dump_report(problem: Problem) -> bytes:
    """Return the report of a problem as JSON."""
    content = {
        "message": problem.message[:MESSAGE_LIMIT],
        "hint": problem.hint,
        "details": (problem.details or "")[-DETAILS_LIMIT:] or None,
    }
    return json.dumps(content).encode()[:SIZE_LIMIT]


def parse_report(text: str) -> Problem | None:
    """Return the problem that a termination message describes; None for an empty one.

    The message is what ``dump_report`` made. If the container could not write that, it is the end of the log.
    """
    try:
        content = json.loads(text)
    except ValueError:
        return _parse_log(text)
    if not isinstance(content, dict) or not content.get("message"):
        return None
    return Problem(message=str(content["message"]), hint=content.get("hint"), details=content.get("details"))


def _parse_log(text: str) -> Problem | None:
    lines = [line for line in text.splitlines() if line.strip()]
    failures = [found[1] for line in lines if (found := directive(line)) and found[0] == "fail"]
    return Problem(message=failures[-1] if failures else lines[-1], details="\n".join(lines)) if lines else None
