"""Turns RGBA frames into the encoder's pixel format, touching only the rows that changed since the last frame."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from renderer.engine.pixels import Pixels, equal

BAND = 60  # rows that are compared and converted together; even, for the colour planes have half the rows
REACH = 4  # rows that swscale's filters may look up or down; even too
WHOLE = 0.6  # from this share of changed bands on, one conversion of the whole frame is cheaper


class Converter(Protocol):
    """Gives the frame that the encoder takes."""

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Convert height by width by RGBA bytes. The frame is valid until the next call."""


def converter(spec: Any) -> Converter:  # Manim's VideoEncoderSpec
    """Choose the way: in bands where the codec keeps no frame that it was given, as a whole elsewhere."""
    return BandConverter(spec.width, spec.height) if banded(spec) else WholeConverter(spec.pixel_format)


def banded(spec: Any) -> bool:
    """Tell whether frames can be converted in bands."""
    return bool(spec.codec.startswith("libx264") and spec.pixel_format == "yuv420p" and spec.height > BAND)


class WholeConverter:
    """Converts a frame unless it equals the last one."""

    def __init__(self, pixel_format: str) -> None:
        self._format = pixel_format
        self._reformatter = VideoReformatter()
        self._last: Pixels | None = None
        self._frame: VideoFrame

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Convert height by width by RGBA bytes."""
        if self._last is None or not equal(self._last, pixels):
            self._last = pixels.copy()
            source = VideoFrame.from_numpy_buffer(self._last, format="rgba")
            self._frame = self._reformatter.reformat(source, format=self._format, threads=1)
        return self._frame


class BandConverter:
    """RGBA to yuv420p, a band of rows at a time. swscale gives a row the same bytes whatever lies far from it."""

    def __init__(self, width: int, height: int) -> None:
        self._height = height
        self._last: Pixels = np.zeros((height, width, 4), np.uint8)
        self._size = (width, height)
        self._frame = VideoFrame(width, height, "yuv420p")
        self.planes = [plane.copy() for plane in planes_of(self._frame)]
        self._bands = [(top, min(top + BAND, height)) for top in range(0, height, BAND)]
        self._reformatters: dict[tuple[int, int], VideoReformatter] = {}
        self._fresh = True

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Convert height by width by RGBA bytes."""
        if self.update(pixels):
            self._renew()
        return self._frame

    def update(self, pixels: Pixels) -> bool:
        """Bring the planes up to date; tell whether anything changed since the last frame."""
        changed = [band for band in self._bands if self._fresh or not equal(self._rows(band), pixels[slice(*band)])]
        for band in changed:
            self._rows(band)[:] = pixels[slice(*band)]
        if len(changed) > WHOLE * len(self._bands):
            changed = [(0, self._height)]
        for band in changed:
            self._convert(band)
        self._fresh = False
        return bool(changed)

    def _renew(self) -> None:
        """Make a new frame: the encoder may still hold the last one."""
        self._frame = VideoFrame(*self._size, "yuv420p")
        for target, plane in zip(planes_of(self._frame), self.planes, strict=True):
            target[:] = plane

    def _rows(self, band: tuple[int, int]) -> Pixels:
        return self._last[slice(*band)]

    def _convert(self, band: tuple[int, int]) -> None:
        """Convert the band and the few rows beside it whose filters reach into it."""
        first, last = self._widened(band, REACH)
        top, bottom = self._widened(band, 2 * REACH)
        reformatter = self._reformatters.setdefault((first - top, bottom - top), VideoReformatter())
        source = VideoFrame.from_numpy_buffer(self._last[top:bottom], format="rgba")
        converted = reformatter.reformat(source, format="yuv420p", threads=1)
        for rows, target, halves in zip(planes_of(converted), self.planes, (1, 2, 2), strict=True):
            start, stop = first // halves, -(-last // halves)
            target[start:stop] = rows[start - top // halves : stop - top // halves]

    def _widened(self, band: tuple[int, int], rows: int) -> tuple[int, int]:
        return max(0, band[0] - rows), min(self._height, band[1] + rows)


def planes_of(frame: VideoFrame) -> list[Pixels]:
    """Give the planes of a frame as arrays of its own bytes."""
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]
