"""A unit's process, seen from inside."""

from __future__ import annotations

import os
import signal

from backends.processes import die_with_parent


def become_child(parent: int, output: int) -> None:
    """Run in a new child: send its output to the descriptor, restore signals, and die when ``parent`` dies."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    die_with_parent(parent)
