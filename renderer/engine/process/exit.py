"""Ends a process in which a scene ran: calls exit functions, and flushes files that the scene left open."""

from __future__ import annotations

import atexit
import gc
import io
import multiprocessing.util
import os
import sys
from contextlib import suppress
from typing import NoReturn

_END_MULTIPROCESSING = multiprocessing.util._exit_function  # type: ignore[attr-defined]  # noqa: SLF001  # of the scene
_FILE_TYPES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def prepare_exit() -> None:
    """Replace the exit functions by those that a scene needs. The inherited ones belong to the parent process."""
    atexit._clear()  # noqa: SLF001  # there is no public way
    atexit.register(_flush_open_files)  # runs last: the order is reversed at exit
    atexit.register(_END_MULTIPROCESSING)


def leave_exit_to_fallback() -> None:
    """Drop the scene's exit functions and do not flush its files: the fallback process runs the whole scene again."""
    atexit._clear()  # noqa: SLF001
    atexit.register(_END_MULTIPROCESSING)


def end_process(code: int) -> NoReturn:
    """End this process as Python ends a program: run the exit functions, then flush stdout and stderr."""
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _flush_open_files() -> None:
    """Flush all open files, because ``os._exit`` does not."""
    for thing in gc.get_objects():
        if type(thing) in _FILE_TYPES:
            with suppress(OSError, ValueError):
                thing.flush()
