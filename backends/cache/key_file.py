"""The secret key that shows who wrote an entry of the chunk cache.

It protects against everybody who can write to the cache but cannot read the key: another user, a container or a machine
that shares the folder, a copy of the cache from elsewhere. It does not protect the jobs of one user from each other, if
they run without a sandbox: such a job can read the key file as this program does, and a scene finds the key in its own
process, which needs it to write entries after the scene's code has run. So only jobs that the user trusts may use a
cache.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from backends.cache.entries import KEY_BYTES
from backends.files import check_private, make_private_folder


def read_or_create_key(path: Path) -> bytes:
    """Return the key in the file; create the file if there is none.

    Raises PermissionError for a file that others can read or change, ValueError for one that holds no key, and OSError.
    """
    folder = make_private_folder(path.parent)
    try:
        return _read_key(folder / path.name)
    except FileNotFoundError:
        _create_key(folder / path.name)
        return _read_key(folder / path.name)


def _read_key(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise PermissionError(f"{path} is not a plain file: remove it, and a new one is made")
        if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise PermissionError(f"others can read {path}: remove it, and a new one is made")
        check_private(path)
        key = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} does not hold a key of {KEY_BYTES} bytes: remove it, and a new one is made")
    return key


def _create_key(path: Path) -> None:
    """Create the file, whole or not at all. The key of a process that was quicker stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):
            os.link(temporary, path)  # a rename would replace what is there
    finally:
        temporary.unlink()
