"""Kills a Python program at one of its steps: with this folder in PYTHONPATH, and a file that KILL_AT names.

The file has the program's process id, the kind of steps that count, and the number of the step that it does not live to
take: ``PID disk 3``, or ``PID http 3``. Without the file nothing counts. Python itself tells the steps (audit events),
so nothing of the program is changed.
"""

import itertools
import os
import signal
import sys
from typing import Any

numbers = itertools.count(1)


def kind_of(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Return the kind of a step; None for what changes nothing."""
    if event in {"os.rename", "subprocess.Popen"}:  # what was written gets its name, and what was prepared runs
        return "disk"
    if event == "http.client.send" and bytes(arguments[1]).startswith(b"POST "):  # something is created at a server
        return "http"
    return None


def count(event: str, arguments: tuple[Any, ...]) -> None:
    """Take one step, or none any more."""
    if (kind := kind_of(event, arguments)) is None:
        return
    try:
        descriptor = os.open(os.environ["KILL_AT"], os.O_RDONLY)
    except (KeyError, FileNotFoundError):
        return
    pid, wanted, last = os.read(descriptor, 100).decode().split()
    os.close(descriptor)
    if int(pid) == os.getpid() and kind == wanted and next(numbers) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(count)
