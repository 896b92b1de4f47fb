"""A supervisor that is started before its job exists, as the command that submits the job sees it.

Much of the time until the first frame is imports: those of the command, and then those of the worker. A supervisor that
starts early has a worker that imports Manim at the same time. It gets its job by a socket, and ends with its worker
when the socket is closed: without a job, it ends with the command at the latest.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_started: list[EarlySupervisor] = []  # at most one


class EarlySupervisor:
    """Starts the supervisor. Raises OSError."""

    def __init__(self) -> None:
        self._channel, inherited = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with inherited:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "backends.local.early.supervisor"],
                stdin=inherited.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=supervisor_environment(),
                start_new_session=True,
            )

    def hand_over(self, folder: Path, descriptors: Sequence[int]) -> IO[bytes]:
        """Return the stream from which it reads one byte when the job is complete.

        It gets the job's folder, the file for its log, and the locks that it holds from now on. Raises OSError if it
        has ended.
        """
        socket.send_fds(self._channel, [os.fsencode(folder)], descriptors)
        return os.fdopen(self._channel.detach(), "wb", buffering=0)

    def end(self) -> None:
        """End it, which has no job."""
        self._channel.close()
        self.process.kill()
        self.process.wait()


def start() -> None:
    """Start a supervisor for the job that this command will submit, where that is possible."""
    try:
        _started.append(EarlySupervisor())
    except OSError:  # the job gets one of its own
        return


def take() -> EarlySupervisor | None:
    """Return the supervisor that has been started, for a job; None if there is none, or it has been taken."""
    return _started.pop() if _started else None


def discard() -> None:
    """End the supervisor that has been started, if no job has taken it."""
    if early := take():
        early.end()


def supervisor_environment() -> dict[str, str]:
    """Return the variables for a process with another current folder: PYTHONPATH with absolute paths."""
    path = os.environ.get("PYTHONPATH")
    absolute = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))} if path else {}
    return {**os.environ, **absolute}
