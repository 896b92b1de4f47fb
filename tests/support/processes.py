"""Other processes: wait for what they do, and see whether they run."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def until(condition: Callable[[], bool], *, within: float = 300.0, describe: Callable[[], str] = str) -> None:
    """Wait for something that another process does; fail after ``within`` seconds, with what ``describe`` returns."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"it did not happen in time {describe()}"
        time.sleep(0.02)


def listening_ports(pid: int) -> list[int]:
    """Return the TCP ports on which a process listens."""
    try:
        connections = psutil.Process(pid).net_connections()
    except psutil.NoSuchProcess:
        return []
    return [found.laddr.port for found in connections if found.status == psutil.CONN_LISTEN]


def alive(pid: int) -> bool:
    """Return whether a process runs. One that has ended does not, even if its parent has not waited for it yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
