"""What every forked child does first."""

from __future__ import annotations

import ctypes
import os
import random
import signal

from renderer.engine.open_files import OpenFiles

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def fork_scene() -> int:
    """Fork a scene in the midst of its plays: the child goes on just as the parent does, and dies with it."""
    randomness, parent, files = random.getstate(), os.getpid(), OpenFiles()
    pid = os.fork()
    if not pid:
        random.setstate(randomness)  # Python seeds it anew in every forked child
        settle_child(parent)
        files.separate()
    return pid


def settle_child(parent: int) -> None:
    """Die with the parent, and by SIGTERM at once; leave Ctrl-C to the parent."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def silence() -> None:
    """Drop what is printed: the parent steps through the same code and prints the same."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)
