"""Reports a problem where the user finds it: in the log, and in the pod's termination message."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path

from backends.kubernetes.objects.termination import dump_report
from backends.problem import Problem
from backends.untrusted.unit_states import UnitReported

TERMINATION_LOG = Path("/dev/termination-log")


def write_report(problem: Problem, units: Mapping[int, UnitReported] | None = None) -> None:
    """Write the problem as an ``openjd_fail`` line, and to the termination log that kubectl and renderer show.

    ``units`` are the states of all units of a pod that has several.
    """
    sys.stdout.write(f"openjd_fail: {problem.message}\n")
    sys.stdout.flush()
    write_note(problem, units)


def write_note(problem: Problem, units: Mapping[int, UnitReported] | None = None) -> None:
    """Write to the termination log alone, where ``renderer status`` finds it when the pod has ended."""
    with contextlib.suppress(OSError):
        TERMINATION_LOG.write_bytes(dump_report(problem, units))
