"""The open files of a scene: a forked child must not share their positions with its parent."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from renderer.engine.process.slots import SLOT_PREFIX

FileIdentity = tuple[int, int]  # device and inode


class OpenFiles:
    """The open files of this process, recorded before it forks. Their descriptors stay valid in the child."""

    def __init__(self) -> None:
        self._pipes: dict[FileIdentity, str] = {}
        self._positions: dict[int, int] = {}
        for file, status in _list_files():
            if kind := _pipe_kind(status):
                self._pipes[identify_file(status)] = kind
            elif stat.S_ISREG(status.st_mode) and SLOT_PREFIX not in str(Path(f"/proc/self/fd/{file}").readlink()):
                self._positions[file] = os.lseek(file, 0, os.SEEK_CUR)

    def find_shared(self, known: set[FileIdentity]) -> str | None:
        """Return what kind of pipe is open that is not in ``known``; None if there is none.

        Parent and child would both write to it, and each would miss what the other reads.
        """
        return next((kind for identity, kind in self._pipes.items() if identity not in known), None)

    def separate(self) -> None:
        """In the child: reopen files for reading at the parent's position, and discard what is written to others."""
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
    """Return what distinguishes an open file from all others."""
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
