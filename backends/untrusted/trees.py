"""Measures and removes folders that a job has filled."""

from __future__ import annotations

import itertools
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def tree_size(folder: Path) -> int:
    """Return the apparent size of all files below a folder, in bytes. Folders that cannot be read are left out."""
    total, folders = 0, [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def remove_tree(path: Path) -> None:
    """Remove a file or folder with any content, also folders without permissions and very deep ones. Follows no link.

    Inner folders are moved up to their grandparent before they are removed. So no path becomes too long, and two open
    folders are enough. Does nothing if the path does not exist. Raises OSError.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
    except FileNotFoundError:
        return
    unused = secrets.token_hex(8)
    names = (f"{unused}-{number}" for number in itertools.count())
    with suppress(PermissionError):  # of another user: it may be writable all the same
        path.chmod(stat.S_IRWXU)
    top = os.open(path, _FOLDER_FLAGS)
    try:
        while folders := _unlink_files(top):
            for name in folders:
                inner = os.open(name, _FOLDER_FLAGS, dir_fd=top)
                try:
                    for child in _unlink_files(inner):
                        os.rename(child, next(names), src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    path.rmdir()


def _unlink_files(folder: int) -> list[str]:
    """Remove all files and links of a folder. Make its folders readable and writable, and return their names."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                with suppress(PermissionError):
                    os.chmod(entry.name, stat.S_IRWXU, dir_fd=folder)
                folders.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    return folders
