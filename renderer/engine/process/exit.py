"""Ends a process in which a scene ran: waits for threads, calls exit functions, flushes files left open."""

from __future__ import annotations

import atexit
import gc
import io
import logging
import multiprocessing.util
import os
import sys
import threading
import traceback
import weakref
from contextlib import suppress
from typing import NoReturn

_END_MULTIPROCESSING = multiprocessing.util._exit_function  # type: ignore[attr-defined]  # noqa: SLF001  # of the scene
_FILE_TYPES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def prepare_exit() -> None:
    """Replace the exit functions by those that a scene needs. The inherited ones belong to the parent process."""
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]  # noqa: SLF001  # there is no public way
    atexit._clear()  # noqa: SLF001
    atexit.register(_flush_open_files)  # runs last: the order is reversed at exit
    atexit.register(logging.shutdown)
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]  # noqa: SLF001
    atexit.register(_END_MULTIPROCESSING)


def end_process(code: int) -> NoReturn:
    """End this process as Python ends a program.

    Wait for threads that are not daemons, which ends executors, too; run the exit functions; flush stdout and stderr.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # as multiprocessing's children call it
    except BaseException:  # noqa: BLE001  # Python prints it, and goes on
        traceback.print_exc()
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # a scene may have closed or replaced it
            stream.flush()
    os._exit(code)


def end_user_process(error: BaseException | None) -> NoReturn:
    """End a process that the scene forked itself, as Python ends a program that returned or raised the error."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if code != error.code and error.code is not None:
            print(error.code, file=sys.stderr)  # noqa: T201  # as Python does
    elif error is not None:
        traceback.print_exception(error)
        code = 1
    end_process(code & 0xFF)


def _flush_open_files() -> None:
    """Flush all open files, because ``os._exit`` does not."""
    for thing in gc.get_objects():
        if type(thing) in _FILE_TYPES:
            with suppress(OSError, ValueError):
                thing.flush()
