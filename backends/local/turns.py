"""Lets only a few jobs of a user render on this machine at the same time; the others wait in the order of submission.

A job that renders or waits holds the kernel's lock on a file of its own, its ticket. So the kernel ends the job's turn
when its supervisor ends, for whatever reason, and nothing has to run in between.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

POLL_INTERVAL_S = 0.1  # of the job that is the next
MOST_POLL_INTERVAL_S = 2.0
_LOCK = "lock"


def count_turns() -> int:
    """Return how many jobs may render at the same time.

    One scene uses all cores while it draws. A second one uses them while the first imports Manim or joins its chunks.
    """
    return max(2, (os.cpu_count() or 1) // 4)


@dataclass(frozen=True)
class Ticket:
    """The place of a job in the queue: a file, and the descriptor that holds its lock."""

    path: Path
    descriptor: int


def draw_ticket(folder: Path) -> Ticket:
    """Return the next ticket. A process that inherits its descriptor holds it, too. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder):
        path = folder / str(max(_tickets(folder), default=0) + 1)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return Ticket(path, descriptor)


@contextmanager
def take_turn(ticket: Path, turns: int, on_wait: Callable[[int], None]) -> Iterator[None]:
    """Wait until fewer than ``turns`` earlier jobs are left; keep the turn within the block, and then give it up.

    This process holds the ticket. While it waits, ``on_wait`` is called again and again with the number of earlier
    jobs. Raises OSError.
    """
    try:
        while (earlier := _count_earlier(ticket.parent, int(ticket.name), turns)) >= turns:
            on_wait(earlier)
            time.sleep(min(POLL_INTERVAL_S * (earlier - turns + 1), MOST_POLL_INTERVAL_S))
        yield
    finally:
        with suppress(OSError):
            ticket.unlink()


def _count_earlier(folder: Path, number: int, turns: int) -> int:
    """Return how many earlier tickets are left. Those of killed jobs are removed if they are among the next turns."""
    with _locked(folder):
        earlier = sorted(other for other in _tickets(folder) if other < number)
        gone = held = 0
        for other in earlier:
            if held == turns:
                break
            is_held = _is_held(folder / str(other))
            held, gone = held + is_held, gone + (not is_held)
        return len(earlier) - gone


def _is_held(ticket: Path) -> bool:
    try:
        descriptor = os.open(ticket, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # its job has just ended
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        ticket.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)


def _tickets(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, without which nobody adds or removes a ticket of somebody else."""
    # for reading and writing: opening a pipe in its place for one of them would wait for ever
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
