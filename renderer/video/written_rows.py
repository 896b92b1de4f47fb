"""Which rows of a frame were written: only these must be made new for the next frame, and compared with it."""

from __future__ import annotations

import numpy as np

from renderer.video.frame import Pixels

_ALL = (-np.inf, np.inf)
_NONE = (np.inf, -np.inf)
_FAR = 2**14  # rows; the numbers of cairo are exact far beyond


class WrittenRows:
    """The rows that were drawn on since the last ``reset``, and those that were written since the last ``take``.

    Both are one range, which may be larger than necessary. There is one object in a process, ``WRITTEN_ROWS``: whatever
    draws calls it, for any frame.
    """

    def __init__(self) -> None:
        self._pixels: Pixels | None = None
        self._background: Pixels | None = None
        self._reader: object = None
        self._drawn, self._reset = _ALL, _ALL
        self._is_exact = True

    def reset(self, pixels: Pixels, background: Pixels) -> None:
        """Make the frame equal to the background, of the same shape. Nothing but ``reset`` may change the background.

        Only rows that were drawn on are copied, if frame and background are those of the last reset.
        """
        if pixels is not self._pixels or background is not self._background or not self._is_exact:
            self._pixels, self._background, self._drawn = pixels, background, _ALL
        rows = _to_slice(self._drawn, len(pixels))
        np.copyto(pixels[rows], background[rows], casting="unsafe")
        self._reset, self._drawn = _unite(self._reset, self._drawn), _NONE

    def add(self, first: float, last: float) -> None:
        """Note that rows are drawn on, from ``first`` to ``last``; all, if the numbers are large or not numbers."""
        if not self._drawn[0] <= first <= last <= self._drawn[1]:
            is_near = -_FAR < first <= last < _FAR
            self._drawn = _unite(self._drawn, (first, last)) if is_near else _ALL

    def add_all(self) -> None:
        """Note that all rows may be written."""
        self._drawn = _ALL

    def give_up(self) -> None:
        """Note that somebody else may write the frame or the background at any time."""
        self._is_exact, self._drawn = False, _ALL

    def take(self, pixels: Pixels, reader: object) -> slice:
        """Return the rows that were written since ``reader`` took them; all if it is another one than the last time."""
        is_reset = pixels is self._pixels
        is_known = is_reset and reader is self._reader and self._is_exact
        written = _unite(self._reset, self._drawn) if is_known else _ALL
        self._reader, self._reset = reader if is_reset else None, _NONE
        return _to_slice(written, len(pixels))


def _unite(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return min(one[0], other[0]), max(one[1], other[1])


def _to_slice(rows: tuple[float, float], height: int) -> slice:
    first, last = rows
    if last < 0 or first >= height:
        return slice(0, 0)
    return slice(int(max(first, 0)), int(min(last + 1, height)))


WRITTEN_ROWS = WrittenRows()
