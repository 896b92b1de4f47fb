"""Bounds the painting processes of all scenes that one worker renders, as make's job server bounds compilers."""

from __future__ import annotations

import fcntl
import os
import tempfile

from renderer.system.limits import count_usable_cores

SLOT = "renderer-slot-"


class ProcessSlots:
    """At most ``n`` children at once, over every process that was forked after this was made.

    Each slot is an unlinked file. Its lock belongs to an open file, which the child that paints is left alone with:
    the kernel frees the slot when the child ends, however that happens.
    """

    def __init__(self, n: int | None = None) -> None:
        self.n = count_usable_cores() if n is None else n
        if self.n < 1:
            raise ValueError(f"a scene needs at least one child, not {n}")
        self._slots = [_unlinked_file() for _ in range(self.n)]

    def take(self, limit: int) -> int | None:
        """Lock one of the first ``limit`` slots; give its file descriptor, or None when all are taken."""
        for slot in self._slots[:limit]:
            descriptor = os.open(f"/proc/self/fd/{slot}", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return descriptor
        return None

    def free(self, limit: int) -> int:
        """Count the free ones of the first ``limit`` slots, as they are just now."""
        taken = [self.take(limit) for _ in range(limit)]
        for slot in taken:
            if slot is not None:
                os.close(slot)
        return sum(slot is not None for slot in taken)


def _unlinked_file() -> int:
    descriptor, path = tempfile.mkstemp(prefix=SLOT)
    os.unlink(path)  # noqa: PTH108  # mkstemp speaks of descriptors
    return descriptor
