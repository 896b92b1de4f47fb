"""How the work of the store's container ended: a file that it writes and the render reads."""

from __future__ import annotations

import json
from dataclasses import asdict

from backends.kubernetes.pod.paths import OUTCOME, write_whole
from backends.problem import Problem

DONE = Problem(message="", exit_code=0)


def write_outcome(problem: Problem) -> None:
    """Write why the inputs or the outputs could not be moved, or DONE."""
    write_whole(OUTCOME, json.dumps(asdict(problem)))


def read_outcome() -> Problem | None:
    """Return what ``write_outcome`` wrote; None where it has not written yet."""
    try:
        return Problem(**json.loads(OUTCOME.read_text("utf-8")))
    except FileNotFoundError:
        return None
