"""Turns RGBA frames into the encoder's pixel format, touching only the rows that changed since the last frame."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from renderer.video.frame import Pixels, differing, equal

BAND = 20  # rows that are compared together; even, for the colour planes have half the rows
REACH = 4  # rows that swscale's filters may look up or down; even too
NEAR = 60  # rows between two changes that are converted too: it costs no more than the margins of two pieces


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
    """RGBA to yuv420p, a few rows at a time. swscale gives a row the same bytes whatever lies far from it."""

    def __init__(self, width: int, height: int) -> None:
        self._height = height
        self._last: Pixels = np.zeros((height, width, 4), np.uint8)
        self._frame = VideoFrame(width, height, "yuv420p")
        self._reformatters: dict[tuple[int, int], VideoReformatter] = {}
        self._fresh = True

    def convert(self, pixels: Pixels) -> VideoFrame:
        """Convert height by width by RGBA bytes."""
        self.update(pixels)
        return self._frame

    def update(self, pixels: Pixels) -> list[Pixels] | None:
        """Bring the planes up to date; give them if anything changed since the last frame."""
        changed = self._changed(pixels)
        if not changed:
            return None
        self._frame.make_writable()  # copies it if the encoder still holds it
        planes = planes_of(self._frame)
        for first, last in changed:
            self._last[first:last] = pixels[first:last]
            self._convert(first, last, planes)
        return planes

    def _changed(self, pixels: Pixels) -> list[tuple[int, int]]:
        """Find the runs of rows that changed."""
        if self._fresh:
            self._fresh = False
            return [(0, self._height)]
        runs: list[tuple[int, int]] = []
        for top in differing(self._last, pixels, BAND):
            start = runs.pop()[0] if runs and top - runs[-1][1] < NEAR else top
            runs.append((start, min(top + BAND, self._height)))
        return runs

    def _convert(self, start: int, stop: int, planes: list[Pixels]) -> None:
        """Convert these rows and the few beside them whose filters reach into them."""
        first, last = self._widened(start, stop, REACH)
        top, bottom = self._widened(start, stop, 2 * REACH)
        reformatter = self._reformatters.setdefault((first - top, bottom - top), VideoReformatter())
        source = VideoFrame.from_numpy_buffer(self._last[top:bottom], format="rgba")
        converted = reformatter.reformat(source, format="yuv420p", threads=1)
        for rows, target, halves in zip(planes_of(converted), planes, (1, 2, 2), strict=True):
            begin, end = first // halves, -(-last // halves)
            target[begin:end] = rows[begin - top // halves : end - top // halves]

    def _widened(self, start: int, stop: int, rows: int) -> tuple[int, int]:
        return max(0, start - rows), min(self._height, stop + rows)


def planes_of(frame: VideoFrame) -> list[Pixels]:
    """Give the planes of a frame as arrays of its own bytes."""
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]
