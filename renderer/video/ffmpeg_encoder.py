"""Encodes one video file with the ffmpeg program. It is used for NVENC with drivers that are too old for PyAV."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

from backends.errors import RendererError
from renderer.system.run import run_program
from renderer.video.diagnosis import diagnose_log
from renderer.video.encoder_spec import VideoEncoderSpec
from renderer.video.errors import EncoderError, translate_disk_error
from renderer.video.frame import Pixels
from renderer.video.probe import build_ffmpeg_options

_DISK_ERRORS = (ENOSPC, EDQUOT, EFBIG)


class FfmpegEncoder:
    """A VideoWriter that pipes frames into the ffmpeg program. Frames have the size in ``spec``.

    Raises EncoderError when the program is not installed, rejects the settings or fails, and OutputError when the disk
    is full; then it leaves no file.
    """

    def __init__(self, target: Path, spec: VideoEncoderSpec) -> None:
        self.target = target
        self._codec = spec.codec
        program = shutil.which("ffmpeg")
        if program is None:
            raise EncoderError("the ffmpeg program is not installed", hint="install ffmpeg, or use the project's image")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the program has ended
        self._process = subprocess.Popen(
            [program, *_build_arguments(spec), str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame ``repeat`` times. The array may change after the call."""
        assert self._process.stdin is not None  # noqa: S101  # for the type checker
        try:
            for _ in range(repeat):
                self._process.stdin.write(pixels.data)
        except OSError as error:
            raise self._end_with_error() from error

    def write_frame(self, pixels: Pixels, *, repeat: int = 1) -> None:
        """Call ``write``. Manim's file writer uses this name and signature (``VideoSegmentEncoder.write_frame``)."""
        self.write(pixels, repeat)

    def finish(self) -> None:
        """Encode what is buffered, and wait until the program has closed the file."""
        with suppress(OSError):
            self._close_input()
        if self._process.wait() != 0:
            raise self._end_with_error()
        self._log.close()

    def abort(self) -> None:
        """Stop the program and remove the incomplete file."""
        self._kill()
        self._log.close()

    def _kill(self) -> None:
        self._process.kill()
        with suppress(OSError):
            self._close_input()
        self._process.wait()
        self.target.unlink(missing_ok=True)

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _end_with_error(self) -> RendererError:
        """Stop the program, remove the file, and return the error that the program's log shows."""
        self._kill()
        self._log.seek(0)
        log = self._log.read().decode("utf-8", "replace")
        self._log.close()
        for code in _DISK_ERRORS:
            if os.strerror(code) in log:
                return translate_disk_error(OSError(code, os.strerror(code), str(self.target)))
        problem = diagnose_log(log)
        return EncoderError(
            f"the ffmpeg program failed to encode with {self._codec}: {problem.message}", hint=problem.hint
        )


def read_ffmpeg_version() -> str:
    """Return what the ffmpeg program prints about its version, its configuration and its libraries."""
    return run_program(["ffmpeg", "-version"])[1]


def _build_arguments(spec: VideoEncoderSpec) -> list[str]:
    size = ["-s", f"{spec.width}x{spec.height}", "-r", f"{spec.frame_rate.numerator}/{spec.frame_rate.denominator}"]
    options = {key: value for key, value in spec.options if key != "threads"}
    return [
        *(
            "-hide_banner",
            "-v",
            "error",
            "-xerror",
            "-y",
        ),  # without -xerror, ffmpeg reports success if the disk is full at the end
        *("-f", "rawvideo", "-pix_fmt", "rgba", *size, "-i", "pipe:0", "-an"),
        *build_ffmpeg_options(spec.codec, options),
        *("-f", spec.container_format),
    ]
