"""Opens files beneath a folder that a job may have filled, without following any link: see open_folder.

This is as safe as openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS, and works on every
kernel.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path, PurePosixPath
from typing import Protocol

from backends.errors import OutputError
from backends.untrusted.names import check_relative_name
from backends.untrusted.open_folder import FILE_FLAGS, NEVER_WAIT, OPENS_BENEATH, PathFolder, open_folder
from backends.untrusted.text import show_line

# what the kernel answers for a link (ELOOP, ENOTDIR), and for a socket or a device without a driver (ENXIO, ENODEV)
_NOT_REGULAR = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK, errno.ENXIO, errno.ENODEV, errno.EISDIR})
# what it answers where it makes no second name for a file: on another disk, on some disks, in a sandbox
_NO_HARD_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


class Readable(Protocol):
    """The part of a file or a connection that content is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


def open_beneath(folder: Path | int, name: str | PurePosixPath) -> BufferedReader:
    """Open a regular file beneath the folder for reading. ``folder`` is a path or a descriptor of an open folder.

    The folder itself may be a link; beneath it none is followed. Raises FileNotFoundError where there is no such file,
    and OutputError for a name that check_relative_name refuses and for what is not a regular file: a link, pipe,
    socket, device or folder. It never waits, as opening a pipe would.
    """
    return open_regular(folder, check_relative_name(str(name)))


def open_regular(folder: Path | int, path: PurePosixPath) -> BufferedReader:
    """Open a file as ``open_beneath`` does, for a relative path that the user chose: its name is not checked."""
    with _refusing(path), open_folder(folder, *path.parts[:-1]) as parent:
        descriptor = parent.open(path.name, os.O_RDONLY)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    return os.fdopen(descriptor, "rb")


def read_regular(folder: Path, name: str, limit: int) -> bytes:
    """Return the content of a file in the folder itself, opened as by ``open_regular``, but quicker.

    Raises OutputError for one of more than ``limit`` bytes, too.
    """
    if not OPENS_BENEATH:
        with open_regular(folder, PurePosixPath(name)) as file:
            return read_bounded(file, limit)
    with _refusing(name):
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | FILE_FLAGS | NEVER_WAIT)
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
            return read_bounded(_Descriptor(descriptor, info.st_size + 1), limit)
        finally:
            os.close(descriptor)


def read_named(path: Path, limit: int) -> bytes:
    """Return the first ``limit`` bytes of a file that the user named.

    A project of somebody else may contain a link to a private file, or a pipe, under the name that its description
    tells to use. So a relative path must lead to a regular file, and not through a link out of the current folder. What
    an absolute path leads to is the user's own choice. Raises OSError, and OutputError for a file that is refused.
    """
    if path.is_absolute():
        with path.open("rb") as file:
            return file.read(limit)
    here, real = Path.cwd().resolve(), path.resolve()
    if not real.is_relative_to(here) and real != Path(os.path.normpath(here / path)):
        raise OutputError(
            f"{show_line(str(path))} leads through a link, to {show_line(str(real))}",
            hint="if you mean that file, name it by its absolute path",
        )
    try:
        with open_regular(real.parent, PurePosixPath(real.name)) as regular:
            return regular.read(limit)
    except OutputError as error:
        message = f"{show_line(str(path))} is not a regular file"
        raise OutputError(message, hint="copy its content to a regular file, and name that") from error


def create_beneath(folder: Path | int, name: str | PurePosixPath, *, mode: int = 0o666) -> BufferedWriter:
    """Create a new file beneath the folder for writing, with the folders above it.

    Raises FileExistsError where anything has that name already, a link too, and OutputError for a name that
    check_relative_name refuses and where a folder above the file is a link or a file.
    """
    path = check_relative_name(str(name))
    with _refusing(path), open_folder(folder, *path.parts[:-1], make=True) as parent:
        return os.fdopen(parent.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")


def stat_beneath(folder: Path | int, name: str | PurePosixPath) -> os.stat_result | None:
    """Return what has that name beneath the folder, itself where it is a link; None where nothing has it.

    Raises OutputError where a folder above it is a link or a file.
    """
    path = check_relative_name(str(name))
    with _refusing(path), suppress(FileNotFoundError), open_folder(folder, *path.parts[:-1]) as parent:
        return parent.stat(path.name)
    return None


def move_beneath(source: Path, folder: Path | int, name: str | PurePosixPath) -> None:
    """Move a file to a name beneath the folder, with the folders above it. What has that name is replaced.

    Raises OutputError where a folder above it is a link or a file.
    """
    path = check_relative_name(str(name))
    with _refusing(path), open_folder(folder, *path.parts[:-1], make=True) as parent:
        parent.put(source, path.name)


def link_between(source: Path, name: str | PurePosixPath, target: Path, new_name: str | PurePosixPath) -> bool:
    """Create a second name for a file beneath ``source``, beneath ``target``, with the folders above that.

    Return False where that is not possible, as between two disks. Raises FileExistsError where anything has the name,
    and OutputError where a folder above one of them is a link or a file.
    """
    old, new = check_relative_name(str(name)), check_relative_name(str(new_name))
    with _refusing(new), open_folder(source, *old.parts[:-1]) as from_parent, open_folder(
        target, *new.parts[:-1], make=True
    ) as to_parent:
        if isinstance(from_parent, PathFolder) or isinstance(to_parent, PathFolder):
            return False
        try:
            os.link(
                old.name,
                new.name,
                src_dir_fd=from_parent.descriptor,
                dst_dir_fd=to_parent.descriptor,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            return False
    return True


class _Descriptor:
    """An open file, of which ``most`` bytes are read at once: to read a small file costs no large buffer."""

    def __init__(self, descriptor: int, most: int) -> None:
        self._descriptor = descriptor
        self._most = most

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        return os.read(self._descriptor, min(size, self._most))


def read_bounded(file: Readable, limit: int) -> bytes:
    """Return the rest of a file or stream. Raises OutputError, without reading on, if it has more than ``limit`` bytes.

    A sparse file costs no more than any other.
    """
    chunks, left = [], limit + 1
    while left and (chunk := file.read(min(left, 2**20))):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise OutputError(f"the job sent more than {limit} bytes where less was expected")
    return b"".join(chunks)


def read_exactly(source: Readable, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes of a file or connection, piece by piece. Raises OSError if there are fewer."""
    while size:
        data = source.read(min(size, 2**20))
        if not data:
            raise OSError("the content is shorter than announced")
        yield data
        size -= len(data)


@contextmanager
def _refusing(path: PurePosixPath | str) -> Iterator[None]:
    """Raise OutputError for the kernel's errors about links, sockets, devices and other special files in the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_REGULAR:
            raise
        raise OutputError(
            f"{show_line(str(path))} is not a regular file, or is below a link",
            hint="only regular files are downloaded",
        ) from error
