"""Reads, writes and locks the small files in which this program remembers things of the user.

A local job runs as the user and can put anything into those folders: a link, a pipe, a lock that is never freed. None
of it is followed or waited for without end.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.untrusted.file_lock import try_lock
from backends.untrusted.files import create_beneath, move_beneath, open_regular, read_bounded
from backends.untrusted.open_folder import open_folder

LOCK_TIMEOUT_S = 5.0
_POLL_INTERVAL_S = 0.02


def read_state(path: Path, limit: int = 2**26) -> bytes:
    """Return the content of a file. Raises OSError where there is none, and where something else has its name."""
    with _as_os_error(path), open_regular(path.parent.parent, PurePosixPath(path.parent.name, path.name)) as file:
        return read_bounded(file, limit)


def write_state(path: Path, data: bytes) -> None:
    """Write a file, with the folder that holds it; readers see the old or the new content. Raises OSError."""
    base = path.parent.parent
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = f"{path.parent.name}/{secrets.token_hex(8)}.tmp"
    with _as_os_error(path):
        try:
            with create_beneath(base, temporary, mode=0o600) as file:
                file.write(data)
            move_beneath(base / temporary, base, f"{path.parent.name}/{path.name}")
        except BaseException:
            with suppress(OSError):
                (base / temporary).unlink()
            raise


@contextmanager
def lock_state(path: Path) -> Iterator[None]:
    """Hold the lock of a file during the block. Raises OSError, also if somebody else holds it for too long."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_folder(path.parent, follow=False) as folder:
        descriptor = folder.open(path.name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            raise OSError(errno.EBUSY, "another process holds it", str(path))
        time.sleep(_POLL_INTERVAL_S)


@contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        raise OSError(errno.EINVAL, "it is not a regular file, or is below a link", str(path)) from error
