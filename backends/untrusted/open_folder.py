"""Open folders, in which names are looked up without following any link.

On Linux and macOS a folder is a file descriptor, and each name is opened relative to it. So a folder that is replaced
by a link in the meantime is not entered. Windows has no such functions: there a folder is a path, and each name is
checked before it is used.
"""

from __future__ import annotations

import errno
import ntpath
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import ContextManager, Iterator, Union

_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
FILE_FLAGS = _NO_LINK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
NEVER_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
OPENS_BENEATH = bool(_NO_LINK) and os.open in os.supports_dir_fd  # names can be opened relative to a folder
_REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: links, junctions and the like


class DescriptorFolder:
    """A folder as a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def enter(self, name: str) -> DescriptorFolder:
        """Return the folder of that name in this one, open."""
        return DescriptorFolder(os.open(name, _FLAGS | _NO_LINK, dir_fd=self.descriptor))

    def make(self, name: str) -> None:
        """Create a folder, unless something has that name."""
        with suppress(FileExistsError):  # opening it shows whether it is a folder
            os.mkdir(name, dir_fd=self.descriptor)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file of any kind, without waiting for a pipe; return its descriptor. Raises OSError for a link."""
        return os.open(name, flags | FILE_FLAGS | NEVER_WAIT, mode, dir_fd=self.descriptor)

    def stat(self, name: str) -> os.stat_result:
        """Return the state of what has that name, itself if it is a link."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def put(self, source: Path, name: str) -> None:
        """Move a file into this folder. What has that name is replaced."""
        os.replace(source, name, dst_dir_fd=self.descriptor)

    def scan(self) -> ContextManager[Iterator[os.DirEntry[str]]]:
        """Return the folder's entries."""
        return os.scandir(self.descriptor)

    def close(self) -> None:
        """Close the folder."""
        os.close(self.descriptor)


class PathFolder:
    """A folder as a path, on Windows. The methods are those of DescriptorFolder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not self.path.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def enter(self, name: str) -> PathFolder:
        """Return the folder of that name in this one."""
        if not stat.S_ISDIR(_mode(self.stat(name))):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        return PathFolder(self._locate(name))

    def make(self, name: str) -> None:
        """Create a folder, unless something has that name."""
        self._locate(name).mkdir(exist_ok=True)

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file; return its descriptor. Raises OSError for a link."""
        path = self._locate(name)
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(_mode(self.stat(name))) and not flags & os.O_EXCL:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return os.open(path, flags | FILE_FLAGS, mode)

    def stat(self, name: str) -> os.stat_result:
        """Return the state of what has that name, itself if it is a link."""
        return self._locate(name).lstat()

    def put(self, source: Path, name: str) -> None:
        """Move a file into this folder. What has that name is replaced."""
        source.replace(self._locate(name))

    def scan(self) -> ContextManager[Iterator[os.DirEntry[str]]]:
        """Return the folder's entries."""
        return os.scandir(self.path)

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _locate(self, name: str) -> Path:
        if not is_plain_on_windows(name):
            raise OSError(errno.EINVAL, "Windows has no such names", name)
        return self.path / name


Folder = Union[DescriptorFolder, PathFolder]


@contextmanager
def open_folder(folder: Path | int, *parts: str, make: bool = False, follow: bool = True) -> Iterator[Folder]:
    """Yield the folder ``parts`` below ``folder``, a path or a descriptor. With ``make``, create what is missing of it.

    ``folder`` itself may be a link if ``follow`` is true.
    """
    current = _open_top(folder, follow=follow)
    try:
        for part in parts:
            if make:
                current.make(part)
            inner = current.enter(part)
            current.close()
            current = inner
        yield current
    finally:
        current.close()


def is_plain_on_windows(name: str) -> bool:
    """Return whether Windows takes the name for that of a file in the folder itself: no drive, stream or device."""
    path = PureWindowsPath(name)
    is_usual = not any(char in '<>:"|?*' for char in name) and not name.endswith((".", " "))
    return path.name == name and is_usual and not _is_device_on_windows(path)


def _is_device_on_windows(path: PureWindowsPath) -> bool:
    if sys.version_info >= (3, 13):
        return ntpath.isreserved(path)
    return path.is_reserved()


def _open_top(folder: Path | int, *, follow: bool) -> Folder:
    if isinstance(folder, int):
        return DescriptorFolder(os.open(".", _FLAGS, dir_fd=folder))
    if OPENS_BENEATH:
        return DescriptorFolder(os.open(folder, _FLAGS | (0 if follow else _NO_LINK)))
    top = PathFolder(folder.parent)
    return PathFolder(folder) if follow else top.enter(folder.name)


def _mode(info: os.stat_result) -> int:
    """Return the kind of a file. Everything that Windows may lead somewhere else counts as a link."""
    leads_away = getattr(info, "st_file_attributes", 0) & _REPARSE_POINT
    return stat.S_IFLNK if leads_away else info.st_mode
