"""Keeps the files that a scene holds open apart: a forked child shares their positions with its parent."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from renderer.engine.children import SLOT


class OpenFiles:
    """The open files of this process, noted before it forks. The descriptors stay valid in the child."""

    def __init__(self) -> None:
        self._positions = {file: os.lseek(file, 0, os.SEEK_CUR) for file in map(int, _descriptors()) if _theirs(file)}

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


def _descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")  # noqa: PTH208  # names, and the one that lists them is gone


def _theirs(file: int) -> bool:
    """Tell whether it is a regular file, and no slot of children."""
    try:
        return stat.S_ISREG(os.fstat(file).st_mode) and SLOT not in str(Path(f"/proc/self/fd/{file}").readlink())
    except OSError:
        return False
