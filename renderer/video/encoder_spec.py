"""The part of Manim's ``VideoEncoderSpec`` that encoding reads, as a type. Imports nothing of Manim."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol


class VideoEncoderSpec(Protocol):
    """How a segment is encoded: ``codec``, ``pixel_format`` and ``container_format`` are FFmpeg's names.

    ``options`` are pairs of an FFmpeg option of the codec and its value; ``width`` and ``height`` are pixels.
    """

    codec: str
    pixel_format: str
    container_format: str
    width: int
    height: int
    frame_rate: Fraction
    options: Iterable[tuple[str, str]]
