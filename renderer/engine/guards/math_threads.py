"""Notices that the frames of a play are computed by several threads, as numpy does for large products of matrices.

Its OpenBLAS has a thread for each core, in every process: several processes that compute so take each other's time, and
are slower than one. With fewer threads the last bits of a product may be others.
"""

from __future__ import annotations

import time

LEAST_S = 0.3  # of CPU time of the other threads in a play, before anything is concluded
LEAST_FRAME_S = 0.003  # of it for a frame: drawing takes longer than less


class MathThreads:
    """The CPU time of this process's other threads since a play began."""

    def __init__(self) -> None:
        self._start = 0.0

    def begin_play(self) -> None:
        """Begin to count; in the process that steps the play."""
        self._start = _read_seconds()

    def take_much(self, frames: int) -> bool:
        """Return whether computing ``frames`` frames took much of other threads. Call it in the main thread."""
        seconds = _read_seconds() - self._start
        return seconds > LEAST_S and seconds > LEAST_FRAME_S * frames


def _read_seconds() -> float:
    return time.process_time() - time.thread_time()
