"""Looks into compressed files and archives, no further than a limit."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import zstandard

from backends.errors import SpecError

MAX_EXPANDED = 2**24  # bytes that come out of one file, whatever is in it
_MAX_MEMBERS = 1000
_MAX_ENTRIES = 20_000  # of a zip's directory, which is read as a whole
_ENTRY = b"PK\1\2"  # begins each
_MAX_DEPTH = 3  # archives in archives
_STEP = 2**16
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Expanded:
    """Counts what comes out of the compressed files of a project. Raises SpecError for more than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit

    def add(self, size: int) -> None:
        """Count bytes."""
        self._left -= size
        if self._left < 0:
            raise SpecError(
                f"more than {self._limit // 2**20} MiB come out of the compressed files of the folder, in which "
                "credentials are looked for",
                hint="exclude compressed files that the job does not need in .rendererignore, "
                "or raise --bundle-limit-mib",
            )


class _Room:
    """How much may still come out of the file."""

    def __init__(self, expanded: Expanded) -> None:
        self.left = MAX_EXPANDED
        self._expanded = expanded

    def read(self, source: _Reader) -> bytes:
        """Return what the source has, as far as there is room. Damaged data ends it."""
        found = bytearray()
        with suppress(*_DAMAGED, zstandard.ZstdError):
            while self.left > 0 and (piece := source.read(min(_STEP, self.left))):
                self.left -= len(piece)
                self._expanded.add(len(piece))
                found += piece
        return bytes(found)


def expand(data: bytes, expanded: Expanded | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield the data itself, and what is in it: the names and contents of a zip's files, and decompressed data.

    A name is empty where there is none. What comes out is counted in ``expanded``, which raises SpecError.
    """
    yield from _expand("", data, _Room(expanded or Expanded(MAX_EXPANDED)), _MAX_DEPTH)


def _expand(name: str, data: bytes, room: _Room, depth: int) -> Iterator[tuple[str, bytes]]:
    yield name, data
    if depth and room.left > 0:
        for inner, content in _open(data, room):
            yield from _expand(inner, content, room, depth - 1)


def _open(data: bytes, room: _Room) -> Iterator[tuple[str, bytes]]:
    if data.startswith(b"PK\3\4"):
        yield from _read_zip(data, room)
    elif reader := _find_reader(data):
        yield "", room.read(reader)


def _find_reader(data: bytes) -> _Reader | None:
    if data.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=io.BytesIO(data))
    if data.startswith(b"BZh"):
        return bz2.BZ2File(io.BytesIO(data))
    if data.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(io.BytesIO(data))
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().stream_reader(data)
    return None


def _read_zip(data: bytes, room: _Room) -> Iterator[tuple[str, bytes]]:
    if data.count(_ENTRY) > _MAX_ENTRIES:
        return
    with suppress(*_DAMAGED), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist()[:_MAX_MEMBERS]:
            content = b""
            with suppress(*_DAMAGED), archive.open(member) as file:  # also an encrypted one
                content = room.read(file)
            yield member.filename, content
