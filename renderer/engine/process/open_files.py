"""Keeps the files that a scene holds open apart: a forked child shares their positions with its parent."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from renderer.engine.abort import Unfit
from renderer.engine.process.slots import SLOT

_strange: set[tuple[int, int]] = set()  # pipes and sockets that are not the scene's, by device and inode


def note_pipes() -> None:
    """Take note of the pipes and sockets that this process has before a scene begins."""
    _strange.update(_identity(status) for _, status in _open() if _kind(status))


def own_pipe() -> tuple[int, int]:
    """Make a pipe of our own: what reads and what writes."""
    read, write = os.pipe()
    _strange.add(_identity(os.fstat(read)))
    return read, write


class OpenFiles:
    """The open files of this process, noted before it forks. The descriptors stay valid in the child.

    Unfit where the scene has a pipe or a connection: parent and child would both write to it, and share what they read.
    """

    def __init__(self) -> None:
        self._positions = {}
        for file, status in _open():
            if (kind := _kind(status)) and _identity(status) not in _strange:
                raise Unfit(f"it has a {kind} open")
            if stat.S_ISREG(status.st_mode) and SLOT not in str(Path(f"/proc/self/fd/{file}").readlink()):
                self._positions[file] = os.lseek(file, 0, os.SEEK_CUR)

    def separate(self) -> None:
        """In the child: read on from where the parent was, and write nothing that the parent writes too."""
        for file, position in self._positions.items():
            if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                own = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
                os.lseek(own, position, os.SEEK_SET)
            else:
                own = os.open(os.devnull, os.O_RDWR)
            os.dup2(own, file)
            os.close(own)


def _open() -> Iterator[tuple[int, os.stat_result]]:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names, and the one that lists them is gone
        try:
            yield int(name), os.fstat(int(name))
        except OSError:
            continue


def _kind(status: os.stat_result) -> str | None:
    if stat.S_ISFIFO(status.st_mode):
        return "pipe"
    return "connection" if stat.S_ISSOCK(status.st_mode) else None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
