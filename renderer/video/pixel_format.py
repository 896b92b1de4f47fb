"""Converts RGBA frames to the encoder's pixel format; where possible, only the rows that changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from renderer.video.encoder_spec import VideoEncoderSpec
from renderer.video.frame import Pixels, equal_frames, find_changed_bands
from renderer.video.written_rows import WRITTEN_ROWS

BAND_ROWS = 20  # rows that are compared at once; even, because the chroma planes have half the rows
FILTER_ROWS = 4  # rows above and below that swscale's filters may read; even as well
MERGE_ROWS = 60  # changed bands closer than this are converted together: cheaper than the margins of two conversions


Rows: TypeAlias = tuple[int, int]  # the first row, and the last one, exclusive


class Converter(Protocol):
    """Converts RGBA frames for one encoder."""

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Return the frame in the encoder's pixel format. It is valid until the next call."""


def create_converter(spec: VideoEncoderSpec) -> Converter:
    """Return the converter for the encoder: by bands of rows where that is possible, otherwise by whole frames."""
    if not can_convert_bands(spec):
        return WholeConverter(spec.pixel_format)
    return BandConverter(spec.width, spec.height)


def can_convert_bands(spec: VideoEncoderSpec) -> bool:
    """Return whether it is possible to convert only the rows that changed, in the memory of the previous frame.

    It is for x264 and yuv420p: x264 copies each frame, so that the frame's memory may change afterwards.
    """
    return bool(spec.codec.startswith("libx264") and spec.pixel_format == "yuv420p" and spec.height > BAND_ROWS)


class WholeConverter:
    """Converts whole frames. A frame that equals the previous one is not converted again."""

    def __init__(self, pixel_format: str) -> None:
        self._format = pixel_format
        self._reformatter = VideoReformatter()
        self._last: Pixels | None = None
        self._frame: VideoFrame

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Return the frame in the encoder's pixel format."""
        if self._last is None or not equal_frames(self._last, pixels):
            self._last = pixels.copy()
            source = VideoFrame.from_numpy_buffer(self._last, format="rgba")
            self._frame = self._reformatter.reformat(source, format=self._format, threads=1)
        return self._frame


class BandConverter:
    """Converts only the rows that changed since the previous frame to yuv420p.

    The result has the same bytes as a conversion of the whole frame, because swscale's output for a row depends only on
    the ``FILTER_ROWS`` rows above and below it.
    """

    def __init__(self, width: int, height: int) -> None:
        self._height = height
        self._last: Pixels = np.zeros((height, width, 4), np.uint8)
        self._frame = VideoFrame(width, height, "yuv420p")
        self._reformatters: dict[tuple[int, int], VideoReformatter] = {}
        self._is_first = True

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Return the frame as yuv420p."""
        self.update(pixels)
        return self._frame

    @property
    def planes(self) -> list[Pixels]:
        """The planes of the frame."""
        return get_planes(self._frame)

    def update(self, pixels: Pixels) -> list[Rows]:
        """Convert what changed. Return the ranges of rows of the frame that may differ from the previous one."""
        changed = self._find_changed_rows(pixels)
        if changed:
            self._frame.make_writable()  # copies it if the encoder still holds it
        for first, last in changed:
            self._last[first:last] = pixels[first:last]
        return [self._convert_rows(first, last) for first, last in changed]

    def _find_changed_rows(self, pixels: Pixels) -> list[Rows]:
        """Return the ranges of rows that changed since the previous frame; all rows for the first frame."""
        written = WRITTEN_ROWS.take(pixels, self)
        if self._is_first:
            self._is_first = False
            return [(0, self._height)]
        runs: list[Rows] = []
        for top in find_changed_bands(self._last, pixels, BAND_ROWS, written):
            start = runs.pop()[0] if runs and top - runs[-1][1] < MERGE_ROWS else top
            runs.append((start, min(top + BAND_ROWS, self._height)))
        return runs

    def _convert_rows(self, start: int, stop: int) -> Rows:
        """Convert the rows from ``start`` to ``stop``, and those next to them that the change affects; return all.

        The reformatter receives the rows from ``top`` to ``bottom``: also those that its filters read.
        """
        first, last = self._add_margin(start, stop, FILTER_ROWS)
        top, bottom = self._add_margin(start, stop, 2 * FILTER_ROWS)
        reformatter = self._reformatters.setdefault((first - top, bottom - top), VideoReformatter())
        source = VideoFrame.from_numpy_buffer(self._last[top:bottom], format="rgba")
        converted = reformatter.reformat(source, format="yuv420p", threads=1)
        copy_rows(get_planes(converted), self.planes, [(first, last)], shift=top)
        return first, last

    def _add_margin(self, start: int, stop: int, rows: int) -> tuple[int, int]:
        return max(0, start - rows), min(self._height, stop + rows)


def copy_rows(source: list[Pixels], target: list[Pixels], ranges: Iterable[Rows], *, shift: int = 0) -> None:
    """Copy ranges of rows between the planes of two frames. ``source`` begins with the row ``shift`` of ``target``."""
    for first, last in ranges:
        for rows, plane, scale in zip(source, target, (1, 2, 2), strict=True):
            begin, end = first // scale, -(-last // scale)
            plane[begin:end] = rows[begin - shift // scale : end - shift // scale]


def get_planes(frame: VideoFrame) -> list[Pixels]:
    """Return the planes of a frame as arrays that share its memory."""
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]


def split_planes(memory: Pixels, width: int, height: int) -> list[Pixels]:
    """Return the planes of a yuv420p frame that lie in ``memory``, one after the other. It may be longer."""
    shapes = [plane.shape for plane in get_planes(VideoFrame(width, height, "yuv420p"))]
    edges = np.cumsum([rows * columns for rows, columns in shapes])
    return [plane.reshape(shape) for plane, shape in zip(np.split(memory, edges), shapes, strict=False)]
