"""Encoded chunks that are kept from render to render, in a folder that many jobs may use at once.

An entry is the file FOLDER/FIRST/KEY: FIRST is the key of its first frame, so that a chunk renderer can tell early
whether its chunk may be there. What the file contains is said in backends.cache.entries.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from backends.cache.entries import KEY_BYTES, MAC_BYTES, seal, unseal
from backends.cache.key_file import read_or_create_key
from backends.errors import OutputError
from backends.files import make_private_folder
from backends.untrusted import create_beneath, open_beneath
from renderer.engine.cache.chunk_key import Key

MIB = 2**20
OWN_CACHE_MIB = 256  # of a cache for the formulas of one job
ABANDONED_S = 3600.0  # the process that wrote an older temporary file has ended
_NEW = "new-"  # how the names of temporary files begin
_KEY = re.compile(r"[0-9a-f]{40}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChunkCache:
    """A folder of encoded chunks. After each render it is reduced to ``limit_mib`` MiB.

    Only entries that were written with the same ``secret`` are used.
    """

    folder: Path
    limit_mib: int
    secret: bytes = field(repr=False)

    def has_first_frame(self, key: Key) -> bool:
        """Return whether the cache has a chunk with the same first frame."""
        found = (self.folder / key.first_frame).is_dir()
        _log.debug("first frame %s: %s", key.first_frame, "known" if found else "unknown")
        return found

    def restore(self, key: Key, target: Path) -> bool:
        """Copy the chunk to ``target``. Return False if it is missing, damaged, or written with another secret."""
        try:
            with open_beneath(self.folder, _name_entry(key)) as entry:
                found = self._copy_verified(entry, key, target)
                if found:
                    os.utime(entry.fileno())  # ``prune`` keeps what was used last
        except (OSError, OutputError):  # OutputError: a link, pipe or device
            found = False
        _log.debug("chunk %s: %s", key.all_frames, "hit" if found else "miss")
        return found

    def keep(self, key: Key, source: Path) -> None:
        """Copy a chunk into the cache. If that fails, the next render draws it again."""
        temporary = f"{key.first_frame}/{_NEW}{secrets.token_hex(8)}"
        with suppress(OSError, OutputError):
            (self.folder / key.first_frame).mkdir(mode=0o700, exist_ok=True)
            with source.open("rb") as file, create_beneath(self.folder, temporary, mode=0o600) as entry:
                size = os.fstat(file.fileno()).st_size
                if size + MAC_BYTES > self._limit:
                    raise OSError("larger than the whole cache")
                seal(file, size, entry, _name_entry(key), self.secret)
            (self.folder / temporary).replace(self.folder / _name_entry(key))
            _log.debug("chunk %s: kept, %d bytes", key.all_frames, size)
        with suppress(OSError):
            (self.folder / temporary).unlink(missing_ok=True)

    def prune(self) -> None:
        """Remove the entries that were not used for the longest time, until the rest fits into the limit.

        Files that cannot be used are removed as well: entries of earlier versions, links, files larger than the cache.
        """
        found = sorted(self._list_files(), key=lambda file: file.used, reverse=True)
        left, newest = self._limit, found[0].used if found else 0.0
        for file in found:
            if file.is_entry and file.size <= self._limit:
                left -= file.size
                is_needed = left >= 0
            else:
                is_needed = file.name.startswith(_NEW) and file.used >= newest - ABANDONED_S
            if not is_needed:
                _remove(self.folder / file.folder, file.name)

    @property
    def _limit(self) -> int:
        return self.limit_mib * MIB

    def _copy_verified(self, entry: BinaryIO, key: Key, target: Path) -> bool:
        """Copy the entry's content, and return whether the entry is this user's and its MAC is right."""
        state = os.fstat(entry.fileno())
        if state.st_uid != os.geteuid() or state.st_nlink != 1:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        return unseal(entry, target, _name_entry(key), self.secret, self._limit)

    def _list_files(self) -> Iterator[_StoredFile]:
        """Yield all files in the folders of first frames. No link is followed."""
        for folder in _list_names(self.folder):
            with suppress(OSError), _open_folder(self.folder / folder) as descriptor:
                for name in _list_names(descriptor):
                    with suppress(OSError):  # removed by another job
                        state = os.lstat(name, dir_fd=descriptor)
                        is_plain = stat.S_ISREG(state.st_mode) and state.st_nlink == 1
                        is_entry = is_plain and bool(_KEY.fullmatch(folder) and _KEY.fullmatch(name))
                        yield _StoredFile(folder, name, state.st_mtime, state.st_size, is_entry)


@dataclass(frozen=True)
class _StoredFile:
    """A file in the cache; ``used`` is the time of its last use, ``size`` is in bytes."""

    folder: str
    name: str
    used: float
    size: int
    is_entry: bool


def open_chunk_cache(folder: Path, limit_mib: int, key_file: Path) -> ChunkCache:
    """Return the cache in the folder. Folder and key file are created if they are missing.

    Raises PermissionError if another user can change either, and OSError or ValueError if one cannot be used.
    """
    return ChunkCache(make_private_folder(folder), limit_mib, read_or_create_key(key_file))


def make_own_cache(folder: Path, limit_mib: int = OWN_CACHE_MIB) -> ChunkCache:
    """Return a cache in a new folder for one job, whose entries are of no use to others."""
    folder.mkdir(mode=0o700)
    return ChunkCache(folder, limit_mib, secrets.token_bytes(KEY_BYTES))


def _name_entry(key: Key) -> str:
    return f"{key.first_frame}/{key.all_frames}"


def _list_names(folder: Path | int) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  # of a descriptor, too
    except OSError:
        return []


@contextmanager
def _open_folder(path: Path) -> Iterator[int]:
    """Yield a descriptor of the folder. Raises OSError for a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(folder: Path, name: str) -> None:
    with suppress(OSError):
        with _open_folder(folder) as descriptor:
            os.unlink(name, dir_fd=descriptor)
        folder.rmdir()  # fails while it has other entries
