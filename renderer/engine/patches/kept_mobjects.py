"""Pickled mobjects by what they were made of. `renderer watch` hands them on from render to render."""

from __future__ import annotations

import marshal
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 2**25

_kept: dict[bytes, bytes] = {}
_new: dict[bytes, bytes] = {}  # what this process has kept, and no other process knows
_seen: set[int] = set()  # hashes of keys
_folder: Path | None = None


def find(key: bytes) -> bytes | None:
    """Return what was kept by the key."""
    return _kept.get(key)


def is_wanted(key: bytes) -> bool:
    """Return whether mobjects are worth keeping: another render may need them, or this one has made them before."""
    if _folder or hash(key) in _seen:
        return True
    _seen.add(hash(key))
    return False


def keep(key: bytes, content: bytes) -> None:
    """Keep mobjects. The oldest are dropped where there is too much."""
    _new[key] = content
    _add({key: content})


def share_with(folder: Path) -> None:
    """Have ``write_new`` write into a folder, which exists, in this process and in those that it forks."""
    global _folder  # noqa: PLW0603
    _folder = folder


def write_new() -> None:
    """Write what this process has kept, for ``add_from``, if there is a folder for it."""
    if _folder and _new:
        with suppress(OSError):
            (_folder / str(os.getpid())).write_bytes(marshal.dumps(_new))
        _new.clear()


def add_from(folder: Path) -> None:
    """Add what processes have written that have ended. The folder may be removed meanwhile."""
    for file in folder.glob("*"):
        with suppress(EOFError, OSError, TypeError, ValueError):  # written in part, by a process that was killed
            _add(marshal.loads(file.read_bytes()))  # noqa: S302  # by the user's own scenes


def _add(content: Mapping[bytes, bytes]) -> None:
    _kept.update(content)
    size = sum(map(len, _kept.values()))
    while size > MAX_BYTES:
        oldest = next(iter(_kept))
        size -= len(_kept.pop(oldest))
        _new.pop(oldest, None)
