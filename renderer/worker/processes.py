"""A unit's process, seen from inside, and what the kernel did to it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from backends.processes import die_with_parent


def become_child(parent: int, output: int) -> None:
    """Run in a new child: send its output to the descriptor, restore signals, and die when ``parent`` dies."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    die_with_parent(parent)


def oom_kills() -> int:
    """Count the processes of this cgroup that the kernel ended for memory; 0 where that cannot be read."""
    for path in (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control")):
        try:
            for line in path.read_text().splitlines():
                key, _, count = line.partition(" ")
                if key == "oom_kill":
                    return int(count)
        except (OSError, ValueError):
            continue
    return 0
