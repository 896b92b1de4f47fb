"""Ends child processes together with their parent, and finds out what killed a process."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36  # prctl(2)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
TERMINATE_TIMEOUT_S = 0.7  # a cancelled job should end within a second
KILL_INTERVAL_S = 0.001
KILL_TIMEOUT_S = 5.0  # for processes that start others faster than they are killed


def die_with_parent(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Let the kernel send this new child a signal when its parent ends, for whatever reason. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent has ended, so that ``end_children`` finds them as well."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable(dumpable: bool) -> None:
    """Allow or forbid other processes of this user to trace this process and to open its files in /proc. Linux only.

    What it forbids: a scene that takes over the process that started it, or writes to that process's output.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def end_children() -> None:
    """End every descendant of this process, also those that start others when they are to end.

    Call ``adopt_orphans`` before they start: without it, a process whose parent has ended is not found.
    """
    end_trees(_list_children())
    before: list[int] = []
    until = time.monotonic() + KILL_TIMEOUT_S
    while (children := _list_children()) and time.monotonic() < until:  # adopted in the meantime
        for child in children:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, os.WNOHANG)
        if children == before:  # the kernel needs a moment; new ones are killed as fast as they start
            time.sleep(KILL_INTERVAL_S)
        before = children


def end_trees(roots: list[int]) -> None:
    """End the processes and all their descendants: send SIGTERM, and after a moment SIGKILL."""
    if not roots:
        return
    import psutil

    trees: list[psutil.Process] = []
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            trees += _find_tree(psutil.Process(root))
    _signal(trees, signal.SIGTERM)
    _, alive = psutil.wait_procs(trees, timeout=TERMINATE_TIMEOUT_S)
    for process in alive:
        _kill_tree(process)
    psutil.wait_procs(alive, timeout=TERMINATE_TIMEOUT_S)


def _kill_tree(root: psutil.Process) -> None:
    """Kill a process and its descendants. All are stopped first, so that none of them can start another."""
    stopped: set[psutil.Process] = set()
    until = time.monotonic() + KILL_TIMEOUT_S
    while (new := set(_find_tree(root)) - stopped) and time.monotonic() < until:
        _signal(new, signal.SIGSTOP)
        stopped |= new
    _signal(stopped, signal.SIGKILL)


def _find_tree(root: psutil.Process) -> list[psutil.Process]:
    import psutil

    with suppress(psutil.NoSuchProcess):
        return [root, *root.children(recursive=True)]
    return []


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    import psutil

    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(number)


def _list_children() -> list[int]:
    """Return the children of this process, those that have ended too; quickly where the kernel has a list of them."""
    try:
        return [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        import psutil  # slow to import

        return [child.pid for child in psutil.Process().children()]


def oom_kills() -> int:
    """Return how many processes of this cgroup the kernel killed because memory ran out; 0 if that is not known."""
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
