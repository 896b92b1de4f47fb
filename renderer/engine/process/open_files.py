"""Separates the open files of a forked child from its parent's: fork makes them share one position in each file."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from renderer.engine.process.slots import SLOT_PREFIX

FileIdentity = tuple[int, int]  # device and inode


class OpenFiles:
    """The open files of this process, recorded before it forks."""

    def __init__(self) -> None:
        self._pipes: dict[FileIdentity, str] = {}
        self._positions: dict[int, int] = {}
        for file, status in _list_files():
            if kind := _pipe_kind(status):
                self._pipes[identify_file(status)] = kind
            elif stat.S_ISREG(status.st_mode) and SLOT_PREFIX not in str(Path(f"/proc/self/fd/{file}").readlink()):
                self._positions[file] = os.lseek(file, 0, os.SEEK_CUR)

    def find_shared(self, known: set[FileIdentity]) -> str | None:
        """Return "pipe" or "connection" if one is open that is not in ``known``; otherwise None.

        Parent and child cannot share it: both would write to it, and each would miss what the other one reads.
        """
        return next((kind for identity, kind in self._pipes.items() if identity not in known), None)

    def separate(self) -> None:
        """Replace the child's files: open those to read again, at the same position, and discard what others write.

        Call it in the child. The descriptors stay the same.
        """
        for file, position in self._positions.items():
            if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                own = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
                os.lseek(own, position, os.SEEK_SET)
            else:
                own = os.open(os.devnull, os.O_RDWR)
            os.dup2(own, file)
            os.close(own)


def list_pipes() -> set[FileIdentity]:
    """Return the pipes and sockets that this process has open."""
    return {identify_file(status) for _, status in _list_files() if _pipe_kind(status)}


def identify_file(status: os.stat_result) -> FileIdentity:
    """Return the device and inode of a file: no other file has the same."""
    return status.st_dev, status.st_ino


def _list_files() -> Iterator[tuple[int, os.stat_result]]:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names; one is of this listing, and closed by now
        try:
            yield int(name), os.fstat(int(name))
        except OSError:
            continue


def _pipe_kind(status: os.stat_result) -> str | None:
    if stat.S_ISFIFO(status.st_mode):
        return "pipe"
    return "connection" if stat.S_ISSOCK(status.st_mode) else None
