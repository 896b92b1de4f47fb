"""Lets only a few jobs of a user render on this machine at the same time; the others wait in the order of submission.

A job that renders or waits holds the kernel's lock on a file of its own, its ticket. So the kernel ends the job's turn
when its supervisor ends, for whatever reason, and nothing has to run in between.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backends.local import waiting


def count_turns() -> int:
    """Return how many jobs may render at the same time.

    One scene uses all cores while it draws. A second one uses them while the first imports Manim or joins its chunks.
    """
    return max(2, (os.cpu_count() or 1) // 4)


def are_taken(folder: Path) -> bool:
    """Return whether a job that is submitted now would probably have to wait."""
    try:
        return len(waiting.list_tickets(str(folder))) >= count_turns()
    except OSError:
        return False


@dataclass(frozen=True)
class Ticket:
    """The place of a job in the queue: a file, and the descriptor that holds its lock."""

    path: Path
    descriptor: int


def draw_ticket(folder: Path) -> Ticket:
    """Return the next ticket. A process that inherits its descriptor holds it, too. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with waiting.lock_folder(str(folder)):
        path = folder / str(max(waiting.list_tickets(str(folder)), default=0) + 1)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return Ticket(path, descriptor)


def wait_first(ticket: Path, note: Path, cancel: Path, command: Sequence[str]) -> Sequence[str]:
    """Return a command that waits for the turn and then becomes ``command``; that alone if it is the job's turn.

    The process must hold the ticket. It writes into ``note`` how many earlier jobs are left, and waits no longer when
    there is a file ``cancel``.
    """
    turns = count_turns()
    with suppress(OSError):
        if waiting.count_earlier(str(ticket), turns) >= turns:
            arguments = (str(ticket), str(turns), str(note), str(cancel))
            return [command[0], "-I", "-S", waiting.__file__, *arguments, *command]
    return command


@contextmanager
def keep_turn(ticket: Path) -> Iterator[None]:
    """Keep the turn within the block, and then give it up. It has come: the number of earlier jobs only falls."""
    try:
        yield
    finally:
        with suppress(OSError):
            ticket.unlink()
