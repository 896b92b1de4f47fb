"""Limits on what a job prints: on a whole log, and on one line."""

from __future__ import annotations

from typing import BinaryIO

from backends.untrusted.limits import Limits

CUT_MARK = b" [cut: the line is too long]"


class LogWriter:
    """Writes a log up to a limit, and only counts the bytes after that. ``close`` adds a line with their number."""

    def __init__(self, file: BinaryIO, limits: Limits | None = None) -> None:
        self._file = file
        self._left = (limits or Limits()).log - file.tell()
        self._dropped = 0

    def write(self, data: bytes) -> bytes:
        """Write as much of the data as fits within the limit, and return that."""
        kept = data[: max(self._left, 0)]
        self._left -= len(kept)
        self._dropped += len(data) - len(kept)
        if kept:
            self._file.write(kept)
            self._file.flush()
        return kept

    def close(self, last_line: bytes = b"") -> bytes:
        """Write ``last_line``, even if the limit is reached, and close the file. Return what was written."""
        note = f"\n-- {self._dropped} bytes more were printed; they are not kept --\n" if self._dropped else ""
        self._file.write(note.encode() + last_line)
        self._file.close()
        return note.encode() + last_line


class LineCutter:
    """Joins pieces of bytes to lines. Bytes of a line after the first ``limit`` are dropped.

    It keeps less than one line in memory, and works in linear time.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = Limits().line if limit is None else limit
        self._rest = bytearray()
        self._dropping = False

    def cut(self, data: bytes) -> bytes:
        """Return the lines that have ended by now, each with its newline."""
        pieces = (data[start : start + self._limit] for start in range(0, len(data), self._limit))
        return b"".join(map(self._cut, pieces))  # a line inside of one piece is short enough

    def split(self, data: bytes) -> list[bytes]:
        """Return the lines that have ended by now, without their newlines."""
        return self.cut(data).split(b"\n")[:-1]

    def finish(self) -> bytes:
        """Return the last line, which has no newline; an empty text if there is none."""
        line = bytes(self._rest) + (CUT_MARK if self._dropping else b"")
        self._rest.clear()
        self._dropping = False
        return line

    def _cut(self, piece: bytes) -> bytes:
        first, newline, others = piece.partition(b"\n")
        self._begin(first)
        if not newline:
            return b""
        line = self.finish() + newline
        whole, newline, rest = others.rpartition(b"\n")
        self._begin(rest)
        return line + whole + newline

    def _begin(self, piece: bytes) -> None:
        room = self._limit - len(self._rest)
        self._rest += piece[:room]
        self._dropping |= len(piece) > room
