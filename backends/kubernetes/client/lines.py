"""Splits an answer into lines, also one that never ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CUT = b" [line cut]"


def split_lines(chunks: Iterable[bytes], limit: int | None = None) -> Iterator[bytes]:
    """Yield the lines without their newlines, also a last one that has none.

    Of a line with more than ``limit`` bytes the first ones are yielded, with a mark.
    """
    line = _Line(limit)
    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line.add(end)
            yield line.take()
        line.add(rest)
    if line.size:
        yield line.take()


class _Line:
    """The pieces of one line, of which at most ``limit`` bytes are kept."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, part: bytes) -> None:
        kept = part if self._limit is None else part[: max(self._limit - self.size, 0)]
        if kept:
            self._parts.append(kept)
        self.size += len(part)

    def take(self) -> bytes:
        is_cut = self._limit is not None and self.size > self._limit
        content = b"".join(self._parts) + (CUT if is_cut else b"")
        self._parts, self.size = [], 0
        return content
