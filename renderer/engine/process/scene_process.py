"""The process in which a scene runs: forks copies of it in the middle of a play, and creates the engine's pipes."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import signal
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from typing import NoReturn

from backends.processes import die_with_parent
from renderer.engine.abort import StopRecord, UnfitFromHere
from renderer.engine.guards.side_effects import SideEffectGuard
from renderer.engine.process.open_files import OpenFiles, identify_file, list_pipes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # bytes
THREAD_END_TIMEOUT_S = 0.2  # a thread that has ended can be listed a moment longer


class SceneProcess:
    """The process of one scene, and what the scene has opened in it.

    Construct it before the scene's file is run: threads and pipes that exist then are not the scene's. ``stops``
    remembers the exception that ended the parallel render. ``side_effects`` notices changes outside the process.
    """

    def __init__(self) -> None:
        self.stops = StopRecord()
        self._threads_before = _count_threads()
        self._known_pipes = list_pipes()
        self.side_effects = SideEffectGuard(self.stops)

    def create_pipe(self) -> tuple[int, int]:
        """Return the reading and the writing end of a new pipe, which does not count as the scene's."""
        read, write = os.pipe()
        self._known_pipes.add(identify_file(os.fstat(read)))
        return read, write

    def fork(self) -> int:
        """Fork the process and return as ``os.fork`` does. The child continues the scene, and dies with the parent.

        Raises UnfitFromHere if the scene has threads, of Python or of a C library: the child would not have them, and
        locks that they hold would never be released. Raises it also if the scene has a pipe or connection open.
        """
        if threading.active_count() > 1:
            self._stop(f"it runs threads of its own: {threading.enumerate()[-1].name}")
        random_state, parent = random.getstate(), os.getpid()
        files = OpenFiles()
        if kind := files.find_shared(self._known_pipes):
            self._stop(f"it has a {kind} open")
        pid = os.fork()
        if not pid:
            gc.freeze()  # a collection would touch all objects, and so copy the memory that the processes share
            random.setstate(random_state)  # Python reseeds it in every forked child
            prepare_child(parent)
            files.separate()
        elif self._has_new_threads():  # libraries that support forking ended theirs when os.fork was called
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._stop("it runs threads of its own, in a library (for example one that reads a video)")
        return pid

    def may_be_copied(self) -> bool:
        """Return whether a fork would have all that the scene has: no threads, pipes or connections of the scene."""
        if threading.active_count() > 1 or self._has_new_threads():
            return False
        return OpenFiles().find_shared(self._known_pipes) is None

    def _has_new_threads(self) -> bool:
        """Return whether the process has more threads than before the scene, including those of C libraries."""
        deadline = time.monotonic() + THREAD_END_TIMEOUT_S
        while _count_threads() > self._threads_before:
            if time.monotonic() > deadline:
                return True
            time.sleep(THREAD_END_TIMEOUT_S / 100)
        return False

    def _stop(self, reason: str) -> NoReturn:
        self.stops.raise_stop(UnfitFromHere(reason))


def prepare_child(parent: int) -> None:
    """Make a new child die with process ``parent`` and end at once on SIGTERM; Ctrl-C is left to the parent."""
    die_with_parent(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def keep_freed_memory() -> None:
    """Use memory that was freed again, instead of returning it to the kernel.

    A frame with images needs several arrays of its own size, and each encoder much memory at once.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)  # never


def return_freed_memory() -> None:
    """Return memory that was freed to the kernel."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc
        libc.malloc_trim(0)


def close_other_files(keep: Collection[int]) -> None:
    """Close all open files of a new child but the standard streams and those to ``keep``."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names
        if int(name) > 2 and int(name) not in keep:  # noqa: PLR2004  # the standard streams
            with suppress(OSError):  # the folder was one of them
                os.close(int(name))


def discard_output() -> None:
    """Discard what this process prints: the parent steps through the same code and prints the same."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _count_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208  # names
