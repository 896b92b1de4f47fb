"""Child processes: they die with the worker, and the worker can end all of them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from backends.processes import die_with_parent

GRACE_S = 0.7  # of the second that a cancelled job may take


def become_child(parent: int, output: int) -> None:
    """Run in a new child: send its output to the descriptor, restore signals, and die when ``parent`` dies."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    die_with_parent(parent)


def end_trees(roots: list[int]) -> None:
    """End the processes and all that they started: asked first, killed after a moment."""
    if not roots:
        return
    import psutil  # slow to import, and rarely needed

    tree: dict[int, psutil.Process] = {}
    for root in roots:
        try:
            process = psutil.Process(root)
            tree |= {found.pid: found for found in [process, *process.children(recursive=True)]}
        except psutil.NoSuchProcess:
            continue
    alive = list(tree.values())
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, alive = psutil.wait_procs(alive, timeout=GRACE_S)


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
