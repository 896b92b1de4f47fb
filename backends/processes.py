"""Starts modules as programs, ends child processes with their parent, and finds out what killed a process."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = str(Path(__file__).parents[1])  # of an installation, of a checkout, or the file of the worker's archive
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36  # prctl(2)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
PYTHON_PATH = "RENDERER_PYTHONPATH"  # the variable for PYTHONPATH's value in a reproducible start
# A variable of glibc: malloc asks for large pages. An encoder takes a hundred MiB at once, and each small page of it
# costs the kernel several microseconds in a virtual machine.
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
MEMORY_EVENTS = "/job/memory.events"  # of an untrusted job, whose sandbox has no /sys
TERMINATE_TIMEOUT_S = 0.7  # a cancelled job should end within a second
KILL_INTERVAL_S = 0.001
WAIT_INTERVAL_S = 0.005
KILL_TIMEOUT_S = 5.0  # for processes that start others faster than they are killed


def isolated_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules in a separate process, as `python -I -m` does.

    The process ignores the current folder and all PYTHON… variables.
    """
    return [sys.executable, "-I", "-c", module_code(module), *arguments]


def module_code(module: str) -> str:
    """Return Python code that runs one of our modules as a program, without the current folder on the path."""
    path = f"sys.path[:] = [{_ROOT!r}] + [path for path in sys.path if path]"
    return f"import sys; {path}; import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


def die_with_parent(parent: int, by: signal.Signals | None = None) -> None:
    """Let the kernel send this new child a signal, by default SIGKILL, when its parent ends. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, by or signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def reproducible_start(
    module: str, arguments: Iterable[str], environment: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the command and the variables that run one of our modules with a fixed hash seed, and large pages.

    With another hash seed, the order of a set of strings changes from run to run, and with it the frames:
    TransformMatchingTex iterates over such a set. Python's option ``-I`` ignores PYTHONHASHSEED. ``-s`` without
    PYTHONPATH and the current folder do what ``-I`` does besides that; the value of PYTHONPATH is kept for the user's
    code.
    """
    variables = {**LARGE_PAGES, **environment, "PYTHONHASHSEED": "0"}
    variables["PYTHONIOENCODING"] = "utf-8"  # logs are read as UTF-8
    variables[PYTHON_PATH] = variables.pop("PYTHONPATH", "")
    return [sys.executable, "-s", "-c", module_code(module), *arguments], variables


def watch_end(process: int) -> int | None:
    """Return a file descriptor that becomes readable when the process ends. Linux only, and not in every sandbox."""
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)  # new in Python 3.9
    with suppress(OSError):
        return opener(process) if opener else None
    return None


class EndWatch:
    """Waits for the end of a process that may be of another parent; for some time only, where that is not possible.

    ``descriptor`` becomes readable when the process ends; None where that is not possible, and once it has ended.
    """

    def __init__(self, process: int | None) -> None:
        self.descriptor = watch_end(process) if process else None

    def wait(self, seconds: float) -> None:
        """Wait until the process ends, for so long at most. Once it has ended, wait for as long as that."""
        if self.descriptor is None:
            time.sleep(seconds)
            return
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        if poll.poll(1000 * seconds):
            self.close()

    def close(self) -> None:
        """Stop watching."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


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
    trees = _find_trees(roots)
    _signal(trees, signal.SIGTERM)
    alive = _wait(trees, TERMINATE_TIMEOUT_S)
    for process in alive:
        _kill_tree(process)
    _wait(alive, TERMINATE_TIMEOUT_S)


@dataclass(frozen=True)
class _Process:
    """A process. ``started`` is when it started: another one may get the same number later."""

    number: int
    parent: int
    started: str
    ended: bool


def _kill_tree(root: _Process) -> None:
    """Kill a process and its descendants. All are stopped first, so that none of them can start another."""
    stopped: dict[int, _Process] = {}
    until = time.monotonic() + KILL_TIMEOUT_S
    while time.monotonic() < until:
        new = [process for process in _find_trees([root.number]) if process.number not in stopped]
        if not new or (not stopped and new[0].started != root.started):
            break
        _signal(new, signal.SIGSTOP)
        stopped.update({process.number: process for process in new})
    _signal(stopped.values(), signal.SIGKILL)


def _find_trees(roots: list[int]) -> list[_Process]:
    """Return the processes and all their descendants, parents first."""
    table = _list_processes()
    children: dict[int, list[_Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found = [table[root] for root in roots if root in table]
    for process in found:  # the loop appends to the list
        found += [child for child in children.get(process.number, []) if child.number not in roots]
    return found


def _signal(processes: Iterable[_Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.number, number)


def _wait(processes: list[_Process], timeout_s: float) -> list[_Process]:
    """Wait until the processes have ended, and return those that have not. Children are reaped."""
    until = time.monotonic() + timeout_s
    alive = processes
    while True:
        for process in alive:
            with suppress(ChildProcessError):  # a child of another process, or one that has been waited for
                os.waitpid(process.number, os.WNOHANG)
        table = _list_processes()
        alive = [process for process in alive if _is_alive(process, table)]
        if not alive or time.monotonic() > until:
            return alive
        time.sleep(WAIT_INTERVAL_S)


def _is_alive(process: _Process, table: Mapping[int, _Process]) -> bool:
    now = table.get(process.number)
    return now is not None and now.started == process.started and not now.ended


def _list_processes() -> dict[int, _Process]:
    """Return all processes by their numbers, from /proc or, where there is none as on macOS, from ps."""
    if sys.platform != "linux":
        command = ["ps", "-A", "-o", "pid=,ppid=,stat=,lstart="]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 3) for line in printed.splitlines()]
        return {int(row[0]): _Process(int(row[0]), int(row[1]), row[3], row[2].startswith("Z")) for row in rows}
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):  # ended in the meantime
                words = (path / "stat").read_bytes().rpartition(b")")[2].split()  # the name in brackets may be anything
                number = int(path.name)
                found[number] = _Process(number, int(words[1]), words[19].decode(), words[0] in {b"Z", b"X"})
    return found


def _list_children() -> list[int]:
    """Return the children of this process, those that have ended too; quickly where the kernel has a list of them."""
    try:
        return [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return [process.number for process in _list_processes().values() if process.parent == os.getpid()]


def oom_kills() -> int:
    """Return how many processes of this cgroup the kernel killed because memory ran out; 0 if that is not known."""
    files = (MEMORY_EVENTS, "/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
    return next((count for count in map(read_oom_kills, files) if count is not None), 0)


def read_oom_kills(file: str) -> int | None:
    """Return how many processes of a cgroup the kernel killed because memory ran out; None if the file does not say."""
    with suppress(OSError, ValueError):
        for line in _read_start(file).splitlines():
            key, _, count = line.partition(b" ")
            if key == b"oom_kill":
                return int(count)
    return None


def _read_start(path: str) -> bytes:
    """Return the content of a small file of the kernel, quickly. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def signal_name(number: int) -> str:
    """Return a signal's name: SIGKILL, or "signal 40" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
