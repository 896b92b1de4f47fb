"""Encodes a segment with the ffmpeg program, for drivers that are too old for the FFmpeg in PyAV."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Any

from backends.errors import RendererError
from renderer.video.diagnosis import refusal
from renderer.video.errors import EncoderError, disk_full
from renderer.video.frame import Pixels
from renderer.video.probe import ffmpeg_options

_FULL = (ENOSPC, EDQUOT, EFBIG)


class ProgramEncoder:
    """Writes one video file. ``spec`` is Manim's VideoEncoderSpec; frames are its height x width x RGBA bytes.

    Raises EncoderError when the program is missing, refuses the settings or breaks off, OutputError when the disk is
    full; no file is left.
    """

    def __init__(self, target: Path, spec: Any) -> None:
        self.target = target
        self._codec = spec.codec
        program = shutil.which("ffmpeg")
        if program is None:
            raise EncoderError("the ffmpeg program is not installed", hint="install ffmpeg, or use the image")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the program
        self._process = subprocess.Popen(
            [program, *_arguments(spec), str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Send a frame ``repeat`` times. The array may change after that."""
        assert self._process.stdin is not None  # noqa: S101  # for the type checker
        try:
            for _ in range(repeat):
                self._process.stdin.write(pixels.data)
        except OSError as error:
            raise self._failure() from error

    def write_frame(self, pixels: Pixels, *, repeat: int = 1) -> None:
        """Do the same under the name that Manim's own file writer calls."""
        self.write(pixels, repeat)

    def finish(self) -> None:
        """Wait until the program has closed the file."""
        with suppress(OSError):
            self._close_input()
        if self._process.wait() != 0:
            raise self._failure()
        self._log.close()

    def abort(self) -> None:
        """End the program and remove the incomplete file."""
        self._end()
        self._log.close()

    def _end(self) -> None:
        self._process.kill()
        with suppress(OSError):
            self._close_input()
        self._process.wait()
        self.target.unlink(missing_ok=True)

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _failure(self) -> RendererError:
        """End, and say why from what the program printed."""
        self._end()
        self._log.seek(0)
        log = self._log.read().decode("utf-8", "replace")
        self._log.close()
        for code in _FULL:
            if os.strerror(code) in log:
                return disk_full(OSError(code, os.strerror(code), str(self.target)))
        why = refusal(log)
        return EncoderError(f"the ffmpeg program failed to encode with {self._codec}: {why}", hint=why.remedy)


def _arguments(spec: Any) -> list[str]:
    size = ["-s", f"{spec.width}x{spec.height}", "-r", f"{spec.frame_rate.numerator}/{spec.frame_rate.denominator}"]
    options = {key: value for key, value in spec.options if key != "threads"}
    return [
        *("-hide_banner", "-v", "error", "-xerror", "-y"),  # without -xerror a full disk at the end is no error to it
        *("-f", "rawvideo", "-pix_fmt", "rgba", *size, "-i", "pipe:0", "-an"),
        *ffmpeg_options(spec.codec, options),
        *("-f", spec.container_format),
    ]
