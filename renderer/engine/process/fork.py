"""How a process that runs a scene begins, forks and ends."""

from __future__ import annotations

import atexit
import gc
import io
import multiprocessing.util
import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from backends.processes import die_with_parent
from renderer.engine.abort import Unfit
from renderer.engine.guards.side_effects import watch
from renderer.engine.process.open_files import OpenFiles, note_pipes

LINGER_S = 0.2
_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


class _Threads:
    usual = 1


class _End:
    elsewhere = False


def begin_scene() -> None:
    """Take note of the threads and pipes that this process has before a scene begins, and watch it from now on."""
    _Threads.usual = _threads()
    note_pipes()
    watch()


def _threads() -> int:
    """Count all threads, those of libraries in C too."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208  # names


def _has_more_threads() -> bool:
    """Tell whether there are more than before the scene. One that has ended may be listed for a moment."""
    until = time.monotonic() + LINGER_S
    while _threads() > _Threads.usual:
        if time.monotonic() > until:
            return True
        time.sleep(LINGER_S / 100)
    return False


def fork_scene() -> int:
    """Fork a scene in the midst of its plays: the child goes on just as the parent does, and dies with it.

    Raises Unfit where the scene has threads, of Python or of a library in C: they would be missing in the child, and
    what they hold would be held for ever. Libraries that are made for forks have ended theirs by the time of the count.
    """
    if threading.active_count() > 1:
        raise Unfit(f"it runs threads of its own: {threading.enumerate()[-1].name}")
    randomness, parent, files = random.getstate(), os.getpid(), OpenFiles()
    pid = os.fork()
    if not pid:
        random.setstate(randomness)  # Python seeds it anew in every forked child
        settle_child(parent)
        files.separate()
    elif _has_more_threads():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise Unfit("it runs threads of its own, in a library: a video that is read while frames are made, perhaps")
    return pid


def settle_child(parent: int) -> None:
    """Die with the parent, and by SIGTERM at once; leave Ctrl-C to the parent."""
    die_with_parent(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def forget_exit_functions() -> None:
    """Forget what another program than this process' own left for its end."""
    atexit._clear()  # noqa: SLF001  # there is no other way
    atexit.register(multiprocessing.util._exit_function)  # type: ignore[attr-defined]  # noqa: SLF001  # ends those of the scene


def leave_end_to_another() -> None:
    """Let another process do what the scene leaves for the end: it runs there from the beginning."""
    forget_exit_functions()
    _End.elsewhere = True


def end_scene(code: int) -> NoReturn:
    """End a process in which a scene ran as Python ends a program: exit functions are called, open files flushed."""
    atexit._run_exitfuncs()  # noqa: SLF001
    if not _End.elsewhere:
        for thing in gc.get_objects():
            if type(thing) in _FILES:
                with suppress(OSError, ValueError):
                    thing.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def silence() -> None:
    """Drop what is printed: the parent steps through the same code and prints the same."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)
