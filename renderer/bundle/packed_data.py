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

MAX_EXPANDED = 2**24  # bytes that come out of one file, whatever is in it
_MAX_MEMBERS = 1000
_MAX_DEPTH = 3  # archives in archives
_STEP = 2**16
_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Room:
    """How much may still come out of the file."""

    def __init__(self) -> None:
        self.left = MAX_EXPANDED

    def read(self, source: _Reader) -> bytes:
        """Return what the source has, as far as there is room. Damaged data ends it."""
        found = bytearray()
        with suppress(*_DAMAGED, zstandard.ZstdError):
            while self.left > 0 and (piece := source.read(min(_STEP, self.left))):
                self.left -= len(piece)
                found += piece
        return bytes(found)


def expand(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the data itself, and what is in it: the names and contents of a zip's files, and decompressed data.

    A name is empty where there is none.
    """
    yield from _expand("", data, _Room(), _MAX_DEPTH)


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
    with suppress(*_DAMAGED), zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist()[:_MAX_MEMBERS]:
            content = b""
            with suppress(*_DAMAGED), archive.open(member) as file:  # also an encrypted one
                content = room.read(file)
            yield member.filename, content
