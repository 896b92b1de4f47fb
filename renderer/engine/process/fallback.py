"""Renders a scene from the beginning if its parallel render has to stop.

The parallel render goes on in a fork; the process that was there before, with Manim imported, waits until it is needed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from backends.processes import adopt_orphans, die_with_parent, end_children


class FallbackProcess:
    """Lets an attempt go on in a fork of this process, which stays behind as its fallback process.

    ``file`` is where the fork leaves what the fallback process shall do, as text. A fork that is to be abandoned ends
    at once with its threads, and the fallback process ends all processes that it started.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def fork(self) -> str | None:
        """Return None in the fork. In this process, wait for the fork to end, and end with the same exit code.

        If the fork has called ``start_again``, return its argument in this process instead.
        """
        sys.stdout.flush()  # otherwise the fork would print it again
        sys.stderr.flush()
        adopt_orphans()
        random_state, parent = random.getstate(), os.getpid()
        pid = os.fork()
        if not pid:
            random.setstate(random_state)  # Python reseeds it in every forked child, and each attempt must do the same
            die_with_parent(parent)
            return None
        _, status = os.waitpid(pid, 0)
        if not self._file.exists():
            _end_like(os.waitstatus_to_exitcode(status))
        end_children()
        attempt = self._file.read_text()
        self._file.unlink()
        return attempt

    def start_again(self, attempt: str) -> NoReturn:
        """End this fork without exit functions; ``fork`` returns the attempt in the fallback process."""
        sys.stdout.flush()
        sys.stderr.flush()
        temporary = self._file.with_suffix(".new")
        temporary.write_text(attempt)
        temporary.replace(self._file)
        os._exit(0)


def _end_like(exit_code: int) -> NoReturn:
    """End this process with the exit code, or by the same signal, as a process that has ended."""
    if exit_code < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-exit_code, signal.SIG_DFL)
        os.kill(os.getpid(), -exit_code)
    os._exit(exit_code)
