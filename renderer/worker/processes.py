"""Prepares the process of a unit, from inside it."""

from __future__ import annotations

import bdb
import os
import signal
import sys
from typing import NoReturn

from backends.processes import die_with_parent, set_dumpable


def become_child(parent: int, output: int) -> None:
    """Set up a new child: it prints to the descriptor ``output``, handles no signals, and ends with ``parent``."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    set_dumpable(True)  # unlike the worker: otherwise this process could not read its own files in /proc
    die_with_parent(parent)


def refuse_debugger() -> None:
    """Make ``breakpoint()`` raise where it is called, because there is no terminal; PYTHONBREAKPOINT has priority."""
    if "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = _quit_debugger


def _quit_debugger(*_: object, **__: object) -> NoReturn:
    raise bdb.BdbQuit
