"""Digests of files, this program's own folders, and whether other users could change a file."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_dir(name: str) -> Path:
    """Return the folder ``k8s`` or ``docker``: in a wheel they are in ``_data``, in a checkout at its root."""
    installed = _HERE / "_data" / name
    return installed if installed.is_dir() else _HERE.parent / name


def state_folder(name: str) -> Path:
    """Return the folder for state that must be kept, in XDG_STATE_HOME or its default."""
    return _user_folder("XDG_STATE_HOME", ".local/state") / name


def cache_folder(name: str) -> Path:
    """Return the folder for files that can be made again, in XDG_CACHE_HOME or its default."""
    return _user_folder("XDG_CACHE_HOME", ".cache") / name


def check_private(path: Path) -> None:
    """Raise PermissionError if anybody but this user and root can change what lies at the path, as ssh does.

    ``path`` exists and has no links in it (see Path.resolve). The folders above it count, too: who may write there can
    put something else in its place, but for folders with the sticky bit such as /tmp. Access control lists count as
    far as the permissions of the group show them. Windows keeps the folders of users apart by itself.
    """
    if sys.platform == "win32":
        return
    for part in (path, *path.parents):
        state = part.lstat()
        if state.st_uid not in {0, os.geteuid()}:
            raise PermissionError(f"{part} belongs to another user")
        if part != path and state.st_mode & stat.S_ISVTX:
            continue
        if state.st_mode & stat.S_IWOTH:
            raise PermissionError(f"every user can write to {part}")
        if state.st_mode & stat.S_IWGRP and not is_own_group(state.st_gid):
            raise PermissionError(f"the group {state.st_gid} can write to {part}")


def make_private_folder(path: Path) -> Path:
    """Return the folder without links in its path; create what is missing of it, for this user alone.

    Raises PermissionError if others can change it, and OSError if it cannot be created.
    """
    for folder in (*reversed(path.parents), path):
        folder.mkdir(mode=0o700, exist_ok=True)
    resolved = path.resolve()
    check_private(resolved)
    return resolved


def config_folder() -> Path:
    """Return the folder for the user's own settings, below XDG_CONFIG_HOME or its default."""
    return _user_folder("XDG_CONFIG_HOME", ".config")


def _user_folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / default) / "manim-renderer"


def is_own_group(group: int, user: int | None = None) -> bool:
    """Return whether a user, by default this one, is the only member of a group.

    Debian, Fedora and others create such a group for each user, of the same name, and files are then often writable for
    the group (umask 002). Debian's sshd makes the same exception for it.
    """
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    try:
        account, entry = pwd.getpwuid(os.geteuid() if user is None else user), grp.getgrgid(group)
    except KeyError:
        return False
    return account.pw_gid == group and account.pw_name == entry.gr_name and set(entry.gr_mem) <= {account.pw_name}
