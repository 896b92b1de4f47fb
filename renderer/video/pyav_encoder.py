"""Encodes the frames of one segment, as Manim's VideoSegmentEncoder does, without converting a frame twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
from av import VideoFrame

from renderer.model import EncoderChoice
from renderer.video.errors import EncoderError, disk_full
from renderer.video.frame import Pixels
from renderer.video.pixel_format import converter


class VideoWriter(Protocol):
    """Takes the frames of one video file. Errors are EncoderError and OutputError, and leave no file."""

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame ``repeat`` times."""

    def finish(self) -> None:
        """Close the file."""


Opened = Callable[[Path, Any], VideoWriter]


def opened_by(choice: EncoderChoice, spec: Any) -> Opened:
    """Give what opens the encoder: by PyAV, or by the ffmpeg program where the choice, and no manim.cfg, says so."""
    if choice.via == "ffmpeg" and spec is not None and spec.codec == choice.codec:
        from renderer.video.ffmpeg_encoder import ProgramEncoder

        return ProgramEncoder
    return SegmentEncoder


class SegmentEncoder:
    """Writes one video file. ``spec`` is Manim's VideoEncoderSpec; frames are its height by width by RGBA bytes."""

    def __init__(self, target: Path, spec: Any) -> None:
        self.target = target
        self._spec = spec
        self._pts = 0
        self._time_base = Fraction(spec.frame_rate.denominator, spec.frame_rate.numerator)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._told("open"):
            self._container = av.open(target, mode="w", format=spec.container_format)
            self._stream = self._container.add_stream(spec.codec, rate=spec.frame_rate, options=dict(spec.options))
            self._stream.pix_fmt = spec.pixel_format
            self._stream.width, self._stream.height = spec.width, spec.height
            self._converter = converter(spec)

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame ``repeat`` times. The array may change after that."""
        with self._told("write"):
            frame = self._converter.convert(pixels)
        self.encode(frame, repeat)

    def encode(self, frame: VideoFrame, repeat: int) -> None:
        """Encode a frame that has the encoder's pixel format already."""
        with self._told("write"):
            frame.time_base = self._time_base
            for _ in range(repeat):
                frame.pts = self._pts
                self._pts += 1
                for packet in self._stream.encode(frame):
                    self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds, and close the file."""
        with self._told("finish"):
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()

    @contextmanager
    def _told(self, step: str) -> Iterator[None]:
        """Turn errors into ours; the file goes away."""
        try:
            yield
        except Exception as error:
            with suppress(Exception):
                self._container.close()
            self.target.unlink(missing_ok=True)
            if isinstance(error, OSError) and not isinstance(error, av.error.InvalidDataError | av.error.ExternalError):
                from errno import EDQUOT, EFBIG, EIO, ENOSPC

                if error.errno in {ENOSPC, EDQUOT, EFBIG, EIO}:
                    raise disk_full(error) from error
            raise self._in_words(step, error) from error

    def _in_words(self, step: str, error: Exception) -> EncoderError:
        codec = self._spec.codec
        if codec.endswith("_nvenc"):
            from renderer.video.probe import sessions

            found = sessions(codec, "pyav", dict(self._spec.options), 1)
            if not isinstance(found, int):
                return EncoderError(f"the video encoder {codec} cannot be used here: {found}", hint=found.remedy)
        return EncoderError(
            f"the video encoder {codec} failed to {step} {self._spec.width}x{self._spec.height} "
            f"{self._spec.pixel_format}: {error}",
            hint="check the options of the encoder, or leave it to the default",
        )
