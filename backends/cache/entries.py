"""Entries of the chunk cache and of the shared cache: a message authentication code (MAC), and the content.

The MAC covers the entry's name, its size and its content, and can be computed only with the secret key of the cache. It
shows damaged entries, and those of others.

An entry of the shared cache is the file KEY/GROUP/FIRST/ALL below the cache's URI. KEY identifies the secret key, so
that caches of several owners in one store do not meet. GROUP has what all chunks of a render have in common, or is
``tex`` or ``voice``; FIRST is the key of a chunk's first frame, ALL that of all its frames.
"""

from __future__ import annotations

import hmac
import os
import re
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Protocol

from backends.untrusted import Readable, read_exactly

KEY_BYTES = 32
MAC_BYTES = 32
MAX_ENTRY_BYTES = 64 * 2**20
COPY_BYTES = 2**20
_NAME = re.compile(r"(?:[0-9a-f]{16}|tex|voice)/[0-9a-f]{40}/[0-9a-f]{40}")


class Writable(Protocol):
    """The part of a file or a connection that content is written to."""

    def write(self, data: bytes, /) -> int:
        """Write all bytes, and return how many these are."""


def is_entry_name(name: object) -> bool:
    """Return whether the value is a name of an entry: GROUP/FIRST/ALL."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def identify_secret(secret: bytes) -> str:
    """Return a name for the secret key, from which nobody can compute the key."""
    return blake2b(b"name", key=secret, digest_size=8, person=b"renderer keyname").hexdigest()


def seal(source: Readable, size: int, entry: BinaryIO, name: str, secret: bytes) -> None:
    """Write an entry with ``size`` bytes of ``source``. Raises OSError if there are fewer."""
    entry.write(bytes(MAC_BYTES))
    mac = _copy(source, entry, size, name, secret)
    entry.seek(0)
    entry.write(mac)


def unseal(entry: BinaryIO, target: Path, name: str, secret: bytes, max_bytes: int = MAX_ENTRY_BYTES) -> bool:
    """Write the entry's content to ``target``; return False, and leave nothing there, if its MAC is wrong."""
    with target.open("wb") as copy:
        size = os.fstat(entry.fileno()).st_size - MAC_BYTES
        stored = entry.read(MAC_BYTES)
        is_right = 0 <= size <= max_bytes and hmac.compare_digest(_copy(entry, copy, size, name, secret), stored)
    if not is_right:
        target.unlink()
    return is_right


def _copy(source: Readable, target: Writable, size: int, name: str, secret: bytes) -> bytes:
    hasher = blake2b(key=secret, digest_size=MAC_BYTES, person=b"renderer shared")
    hasher.update(name.encode() + b"\0" + size.to_bytes(8, "big"))
    for data in read_exactly(source, size):
        hasher.update(data)
        target.write(data)
    return hasher.digest()
