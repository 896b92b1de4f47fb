"""The CPU time of programs that benchmarks start."""

from __future__ import annotations

import os
import resource


def read_cpu() -> float:
    """Return the CPU seconds of all processes so far that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def wait_for_orphans() -> None:
    """Wait for what programs have left behind, so that it counts. This process must have called ``adopt_orphans``."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return
