"""The type of the settings of one video file. Does not import Manim."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol


class VideoEncoderSpec(Protocol):
    """The attributes of Manim's ``manim._config.video_encoder.VideoEncoderSpec`` that the encoders read."""

    @property
    def codec(self) -> str:
        """FFmpeg's name of the codec."""

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the pixel format."""

    @property
    def container_format(self) -> str:
        """FFmpeg's name of the kind of file."""

    @property
    def width(self) -> int:
        """The width of a frame, in pixels."""

    @property
    def height(self) -> int:
        """The height of a frame, in pixels."""

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second."""

    @property
    def options(self) -> Iterable[tuple[str, str]]:
        """Pairs of an FFmpeg option of the codec and its value."""
