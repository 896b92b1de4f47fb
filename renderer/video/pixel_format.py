"""Converts RGBA frames to the encoder's pixel format; where possible, only the rows that changed."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from renderer.video.encoder_spec import VideoEncoderSpec
from renderer.video.frame import Pixels, equal_frames, find_changed_bands

BAND_ROWS = 20  # rows that are compared at once; even, because the chroma planes have half the rows
FILTER_ROWS = 4  # rows above and below that swscale's filters may read; even as well
MERGE_ROWS = 60  # changed bands closer than this are converted together: cheaper than the margins of two conversions


class Converter(Protocol):
    """Converts RGBA frames for one encoder."""

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Return the frame in the encoder's pixel format. It is valid until the next call."""


def create_converter(spec: VideoEncoderSpec) -> Converter:
    """Return the converter for the encoder: by bands of rows where that is possible, otherwise by whole frames.

    A converter that was released is used again for frames of the same size.
    """
    if not can_convert_bands(spec):
        return WholeConverter(spec.pixel_format)
    return _released.pop((spec.width, spec.height), None) or BandConverter(spec.width, spec.height)


def release_converter(converter: Converter) -> None:
    """Let the next encoder of this process use the converter: its first frame often differs little from the last one.

    The encoder that had it must be closed.
    """
    if isinstance(converter, BandConverter):
        _released.clear()  # one is enough
        _released[converter.size] = converter


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
        self.size, self._height = (width, height), height
        self._last: Pixels = np.zeros((height, width, 4), np.uint8)
        self._frame = VideoFrame(width, height, "yuv420p")
        self._reformatters: dict[tuple[int, int], VideoReformatter] = {}
        self._is_first = True

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Return the frame as yuv420p."""
        self.update(pixels)
        return self._frame

    def update(self, pixels: Pixels) -> list[Pixels] | None:
        """Convert the changed rows. Return the planes of the frame, or None if it equals the previous frame."""
        changed = self._find_changed_rows(pixels)
        if not changed:
            return None
        self._frame.make_writable()  # copies it if the encoder still holds it
        planes = get_planes(self._frame)
        for first, last in changed:
            self._last[first:last] = pixels[first:last]
            self._convert_rows(first, last, planes)
        return planes

    def _find_changed_rows(self, pixels: Pixels) -> list[tuple[int, int]]:
        """Return the ranges of rows that changed since the previous frame; all rows for the first frame."""
        if self._is_first:
            self._is_first = False
            return [(0, self._height)]
        runs: list[tuple[int, int]] = []
        for top in find_changed_bands(self._last, pixels, BAND_ROWS):
            start = runs.pop()[0] if runs and top - runs[-1][1] < MERGE_ROWS else top
            runs.append((start, min(top + BAND_ROWS, self._height)))
        return runs

    def _convert_rows(self, start: int, stop: int, planes: list[Pixels]) -> None:
        """Convert the rows from ``start`` to ``stop``, and the rows next to them, which their change affects.

        The reformatter receives the rows from ``top`` to ``bottom``: also those that its filters read.
        """
        first, last = self._add_margin(start, stop, FILTER_ROWS)
        top, bottom = self._add_margin(start, stop, 2 * FILTER_ROWS)
        reformatter = self._reformatters.setdefault((first - top, bottom - top), VideoReformatter())
        source = VideoFrame.from_numpy_buffer(self._last[top:bottom], format="rgba")
        converted = reformatter.reformat(source, format="yuv420p", threads=1)
        for rows, target, scale in zip(get_planes(converted), planes, (1, 2, 2), strict=True):
            begin, end = first // scale, -(-last // scale)
            target[begin:end] = rows[begin - top // scale : end - top // scale]

    def _add_margin(self, start: int, stop: int, rows: int) -> tuple[int, int]:
        return max(0, start - rows), min(self._height, stop + rows)


_released: dict[tuple[int, int], BandConverter] = {}


def get_planes(frame: VideoFrame) -> list[Pixels]:
    """Return the planes of a frame as arrays that share its memory."""
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]
