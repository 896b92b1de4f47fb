"""Limits how many processes draw at the same time, over all scenes of one worker (as make's job server does)."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from typing import NamedTuple

from renderer.system.limits import count_usable_cores

SLOT_PREFIX = "renderer-slot-"

_log = logging.getLogger(__name__)


class Slot(NamedTuple):
    """A slot that was taken. It is free again when every process has closed the descriptor."""

    number: int
    descriptor: int


class ProcessSlots:
    """``n`` slots, shared by all processes that are forked after this was constructed. Each lets one process draw.

    A slot is a file without a name, and a process has the slot while it holds the lock of the file. The parent takes
    the lock, forks, and closes its descriptor. So the kernel frees the slot when the child ends, for whatever reason.
    """

    def __init__(self, n: int | None = None) -> None:
        self.n = count_usable_cores() if n is None else n
        if self.n < 1:
            raise ValueError(f"a render needs at least one process slot, not {n}")
        self._files = [_create_unlinked_file() for _ in range(self.n)]

    def take(self, limit: int) -> Slot | None:
        """Lock one of the first ``limit`` slots and return it; None if all are taken."""
        for number, file in enumerate(self._files[:limit]):
            if (descriptor := _lock(file)) is not None:
                _log.debug("took slot %d of %d", number, self.n)
                return Slot(number, descriptor)
        return None

    def count_free(self, limit: int) -> int:
        """Return how many of the first ``limit`` slots are free at this moment."""
        locked = [descriptor for file in self._files[:limit] if (descriptor := _lock(file)) is not None]
        for descriptor in locked:
            os.close(descriptor)
        return len(locked)


def _lock(file: int) -> int | None:
    """Lock the file with a new descriptor, and return that; return None if the file is locked already."""
    descriptor = os.open(f"/proc/self/fd/{file}", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _create_unlinked_file() -> int:
    descriptor, path = tempfile.mkstemp(prefix=SLOT_PREFIX)
    os.unlink(path)  # noqa: PTH108  # mkstemp returns a string
    return descriptor
