"""Waits until it is a job's turn, and then becomes the job's supervisor.

``python -I -S waiting.py TICKET TURNS NOTE CANCEL COMMAND…``

Many of these processes may wait at the same time, so it needs a quarter of a supervisor's memory: it imports nothing of
ours and little of Python. SIGTERM stays pending until the supervisor can describe the end.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from io import FileIO

POLL_INTERVAL_S = 0.1  # of the job that is the next
MOST_POLL_INTERVAL_S = 2.0
_LOCK = "lock"


def main() -> None:
    """Wait while as many earlier jobs as may run are left. Write how many these are into the file NOTE.

    It ends as soon as the file CANCEL exists. An error ends it, too: better a job too many than none.
    """
    ticket, most, note, cancel, *command = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    turns, noted = int(most), 0
    try:
        while not os.path.exists(cancel) and (earlier := count_earlier(ticket, turns)) >= turns:  # noqa: PTH110
            if earlier != noted:
                _write(note, str(earlier))
                noted = earlier
            pause = min(POLL_INTERVAL_S * (earlier - turns + 1), MOST_POLL_INTERVAL_S)
            if signal.sigtimedwait({signal.SIGTERM}, pause):
                os.kill(os.getpid(), signal.SIGTERM)
                break
    except OSError:
        pass
    os.execv(command[0], command)  # noqa: S606  # no shell is needed


def count_earlier(ticket: str, turns: int) -> int:
    """Return how many earlier tickets are left. Those of killed jobs are removed if they are among the next turns.

    Raises OSError.
    """
    folder, name = os.path.split(ticket)
    with lock_folder(folder):
        earlier = sorted(number for number in list_tickets(folder) if number < int(name))
        gone = held = 0
        for number in earlier:
            if held == turns:
                break
            is_held = _is_held(f"{folder}/{number}")
            held, gone = held + is_held, gone + (not is_held)
        return len(earlier) - gone


def list_tickets(folder: str) -> list[int]:
    """Return the numbers of the tickets in the folder."""
    return [int(name) for name in os.listdir(folder) if name.isdecimal()]  # noqa: PTH208


def lock_folder(folder: str) -> FileIO:
    """Return a file that holds the folder's lock until it is closed. To add or remove tickets, one must hold it."""
    # for reading and writing: opening a pipe in its place for one of them would wait for ever
    lock = FileIO(os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _is_held(ticket: str) -> bool:
    """Return whether a job holds the ticket; remove it if none does."""
    try:
        descriptor = os.open(ticket, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # its job has just ended
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(ticket)  # noqa: PTH108
    except BlockingIOError:
        return True
    except FileNotFoundError:  # its job has removed it in between, and ended
        pass
    finally:
        os.close(descriptor)
    return False


def _write(path: str, text: str) -> None:
    part = f"{path}.part"
    with FileIO(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644), "w") as file:
        file.write(text.encode())
    os.replace(part, path)  # noqa: PTH105


if __name__ == "__main__":
    main()
