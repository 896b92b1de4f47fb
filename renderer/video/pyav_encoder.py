"""Encodes one video file through PyAV, as Manim's VideoSegmentEncoder does, but converts equal frames only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av import VideoFrame

from renderer.mirrors import mirrors
from renderer.model import EncoderChoice
from renderer.video.encoder_spec import VideoEncoderSpec
from renderer.video.errors import EncoderError, translate_disk_error
from renderer.video.frame import Pixels
from renderer.video.pixel_format import create_converter

_DISK_ERRORS = {ENOSPC, EDQUOT, EFBIG, EIO}


class VideoWriter(Protocol):
    """Receives the frames of one video file.

    Its methods raise EncoderError or OutputError, after they have removed the incomplete file.
    """

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame ``repeat`` times. The array may change after the call."""

    def finish(self) -> None:
        """Encode what is buffered, and close the file."""


OpenEncoder = Callable[[Path, VideoEncoderSpec], VideoWriter]


def select_encoder_class(choice: EncoderChoice, spec: VideoEncoderSpec | None) -> OpenEncoder:
    """Return FfmpegEncoder if ``choice`` asks for it and manim.cfg names no other codec; otherwise PyAVEncoder."""
    if choice.via == "ffmpeg" and spec is not None and spec.codec == choice.codec:
        from renderer.video.ffmpeg_encoder import FfmpegEncoder

        return FfmpegEncoder
    return PyAVEncoder


@mirrors("manim.scene.video_segment_encoder:VideoSegmentEncoder", sha256="e31a18ba10ca3df6")
class PyAVEncoder:
    """A VideoWriter that encodes through PyAV. Frames have the size in ``spec``."""

    def __init__(self, target: Path, spec: VideoEncoderSpec) -> None:
        self.target = target
        self._spec = spec
        self._pts = 0
        self._time_base = Fraction(spec.frame_rate.denominator, spec.frame_rate.numerator)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._translated_errors("open"):
            self._container = av.open(target, mode="w", format=spec.container_format)
            self._stream = self._container.add_stream(spec.codec, rate=spec.frame_rate, options=dict(spec.options))
            self._stream.pix_fmt = spec.pixel_format
            self._stream.width, self._stream.height = spec.width, spec.height
            self._converter = create_converter(spec)

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame ``repeat`` times. The array may change after the call."""
        with self._translated_errors("write"):
            frame = self._converter.convert(pixels)
        self.encode(frame, repeat)

    def encode(self, frame: VideoFrame, repeat: int) -> None:
        """Encode a frame that already has the encoder's pixel format."""
        with self._translated_errors("write"):
            frame.time_base = self._time_base
            for _ in range(repeat):
                frame.pts = self._pts
                self._pts += 1
                for packet in self._stream.encode(frame):
                    self._container.mux(packet)

    def finish(self) -> None:
        """Encode what is buffered, and close the file."""
        with self._translated_errors("finish"):
            for packet in self._stream.encode():
                self._container.mux(packet)
            self._container.close()

    @contextmanager
    def _translated_errors(self, operation: str) -> Iterator[None]:
        """Translate every error of the block into EncoderError or OutputError, and remove the file."""
        try:
            yield
        except Exception as error:
            with suppress(Exception):
                self._container.close()
            self.target.unlink(missing_ok=True)
            is_of_codec = isinstance(error, av.error.InvalidDataError | av.error.ExternalError)
            if isinstance(error, OSError) and not is_of_codec and error.errno in _DISK_ERRORS:
                raise translate_disk_error(error) from error
            raise self._translate_error(operation, error) from error

    def _translate_error(self, operation: str, error: Exception) -> EncoderError:
        codec = self._spec.codec
        if codec.endswith("_nvenc"):
            from renderer.video.probe import count_sessions

            found = count_sessions(codec, "pyav", dict(self._spec.options), 1)
            if not isinstance(found, int):
                return EncoderError(f"the video encoder {codec} cannot be used here: {found.message}", hint=found.hint)
        return EncoderError(
            f"the video encoder {codec} failed to {operation} {self._spec.width}x{self._spec.height} "
            f"{self._spec.pixel_format}: {error}",
            hint="check the encoder's options in manim.cfg, or remove them to use the defaults",
        )
