"""The units of this pod, what became of them, and the exit code of the pod.

A pod of a job with several units in each (``--units-per-pod``) runs those of its completion index, side by side.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.pod.paths import EARLIER, WORK, write_whole
from backends.problem import Problem
from backends.untrusted import Limits, open_beneath, parse_result, read_bounded
from backends.untrusted.unit_states import UnitReported, dump_units, parse_units
from backends.worker_protocol import RESULT, RETRIED, UnitResult


@dataclass(frozen=True)
class PodUnits:
    """How the job's units are divided: ``count`` of them, ``per_pod`` in each pod."""

    per_pod: int = 1
    count: int = 1
    one_by_one: bool = False

    @property
    def shared(self) -> bool:
        """Whether pods have several units."""
        return self.per_pod > 1

    @property
    def indexes(self) -> Sequence[int]:
        """The units of this pod."""
        index = int(os.environ["JOB_COMPLETION_INDEX"])
        if not self.shared:
            return range(index, index + 1)
        return range(index * self.per_pod, min((index + 1) * self.per_pod, self.count))


def read_unit_result(unit: int) -> UnitResult | None:
    """Return the result that a unit left in this pod; None if there is none. Raises ResultError for a damaged one."""
    try:
        with open_beneath(WORK, f"{names.UNITS}/{unit}/{RESULT}") as file:
            return parse_result(read_bounded(file, Limits().result), unit=f"unit {unit}")
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_final(exit_code: int) -> bool:
    """Return whether another attempt at a unit that ended so would end in the same way."""
    return exit_code not in RETRIED


def write_earlier(units: Mapping[int, UnitReported]) -> None:
    """Write which units need not run again, because an earlier pod has stored their results."""
    write_whole(EARLIER, dump_units(units))


def read_earlier(units: Sequence[int]) -> dict[int, UnitReported]:
    """Return what ``write_earlier`` wrote."""
    with suppress(FileNotFoundError, ValueError):
        return parse_units(json.loads(EARLIER.read_text("utf-8")), units)
    return {}


def report_results(units: Sequence[int], earlier: Mapping[int, UnitReported], code: int) -> dict[int, UnitReported]:
    """Return how each unit ended: as its result says or, without one, by the exit code of the worker."""
    found = dict(earlier)
    for unit in units:
        if unit not in earlier:
            found[unit] = _read_state(unit, code)
    return found


def _read_state(unit: int, code: int) -> UnitReported:
    try:
        result = read_unit_result(unit)
    except (RendererError, OSError) as error:
        return UnitReported(ExitCode.OUTPUT, message=str(error))
    if result is None:
        return UnitReported(code or ExitCode.LOST, message="the pod ended before it had a result")
    return UnitReported(result.exit_code, message=result.error.message if result.error else None)


def choose_exit_code(units: Mapping[int, UnitReported]) -> int:
    """Return the pod's exit code: one after which Kubernetes makes another attempt, if that helps any of its units."""
    codes = [state.exit_code or 0 for _, state in sorted(units.items())]
    temporary = [code for code in codes if code and not is_final(code)]
    return next(iter(temporary or filter(None, codes)), ExitCode.OK)


def describe_failures(units: Mapping[int, UnitReported]) -> Problem | None:
    """Return the problem of a pod in which units have failed."""
    failed = [(unit, state) for unit, state in sorted(units.items()) if state.exit_code]
    if not failed:
        return None
    unit, state = failed[0]
    more = f" ({len(failed)} of {len(units)} units of this pod failed)" if len(failed) > 1 else ""
    return Problem(message=f"unit {unit}: {state.message or f'exit code {state.exit_code}'}{more}")
