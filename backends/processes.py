"""Makes sure that child processes do not outlive their parent, and finds out what ended them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
TERMINATE_TIMEOUT_S = 0.7  # a cancelled job should end within a second


def die_with_parent(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Make the kernel signal this new child when its parent ends, however it ends. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that end_children finds them in any session."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_children() -> None:
    """End every descendant of this process."""
    with suppress(OSError):
        if not Path(f"/proc/self/task/{os.getpid()}/children").read_text().strip():
            return
    import psutil  # slow to import, and rarely needed

    end_trees([child.pid for child in psutil.Process().children()])


def end_trees(roots: list[int]) -> None:
    """End the processes and all their descendants: first by SIGTERM, after a moment by SIGKILL."""
    if not roots:
        return
    import psutil

    tree: dict[int, psutil.Process] = {}
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(root)
            tree |= {found.pid: found for found in [process, *process.children(recursive=True)]}
    alive = list(tree.values())
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, alive = psutil.wait_procs(alive, timeout=TERMINATE_TIMEOUT_S)


def oom_kills() -> int:
    """Return how many processes of this cgroup the kernel has ended for memory; 0 where that cannot be read."""
    for path in (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control")):
        try:
            for line in path.read_text().splitlines():
                key, _, count = line.partition(" ")
                if key == "oom_kill":
                    return int(count)
        except (OSError, ValueError):
            continue
    return 0


def signal_name(number: int) -> str:
    """Return a signal's name: SIGKILL, or "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
