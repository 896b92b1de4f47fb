"""Notices that the kernel kills processes of this container because its memory has run out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from backends.exit_codes import ExitCode
from backends.kubernetes.pod.report import write_termination_log
from backends.problem import Problem
from backends.processes import oom_kills

POLL_INTERVAL_S = 0.1
OUT_OF_MEMORY = Problem(
    message="the container's memory ran out", hint="raise --memory", exit_code=ExitCode.OUT_OF_MEMORY
)


class MemoryWatch:
    """Counts the processes that the kernel has killed for memory since it was created."""

    def __init__(self) -> None:
        self._kills_before = oom_kills()
        self._stopped = threading.Event()

    @property
    def ran_out(self) -> bool:
        """Whether the kernel has killed a process for memory."""
        return oom_kills() > self._kills_before

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Write the first kill during the block to the termination log at once.

        The kernel may kill this process, too, and the container runtime may miss why: then this is the only trace.
        """
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(POLL_INTERVAL_S):
            if self.ran_out:
                write_termination_log(OUT_OF_MEMORY)
                return
