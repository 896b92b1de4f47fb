"""Tests an encoder: opens it and encodes a frame with it, in a separate process.

The process is separate because a process that has used the CUDA driver must not fork chunk renderers.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from fractions import Fraction

from backends.problem import Problem
from backends.processes import isolated_command
from renderer.system.run import run_program
from renderer.video.diagnosis import diagnose_log

WIDTH, HEIGHT = 640, 360  # pixels; above the minimum of every NVENC generation
_OPENED = "opened"

_log = logging.getLogger(__name__)


def count_sessions(codec: str, via: str, options: dict[str, str], wanted: int) -> int | Problem:
    """Return how many of ``wanted`` encoders can be open at once, or the Problem if not even one can be opened.

    ``via`` is "pyav", or "ffmpeg" for the ffmpeg program.
    """
    found = _count_in_ffmpeg(codec, options, wanted) if via == "ffmpeg" else _count_in_pyav(codec, options, wanted)
    _log.debug("probe of %s through %s: %s", codec, via, found if isinstance(found, int) else found.message)
    return found


def build_ffmpeg_options(codec: str, options: dict[str, str]) -> list[str]:
    """Return the codec and its options as arguments of the ffmpeg program."""
    pairs = [argument for key, value in options.items() for argument in (f"-{key}:v", value)]
    return ["-c:v", codec, *pairs, "-pix_fmt", "yuv420p"]


def _count_in_pyav(codec: str, options: dict[str, str], wanted: int) -> int | Problem:
    _, output = run_program(isolated_command(__name__, json.dumps([codec, options, wanted])))
    return output.splitlines().count(_OPENED) or diagnose_log(output)


def _count_in_ffmpeg(codec: str, options: dict[str, str], wanted: int) -> int | Problem:
    program = shutil.which("ffmpeg")
    if program is None:
        return Problem(message="the ffmpeg program is not installed", hint="install ffmpeg, or use the project's image")
    log = ""
    for count in _halve_down_to_one(wanted):
        source = ["-f", "lavfi", "-i", f"color=size={WIDTH}x{HEIGHT}:rate=30"]
        output = ["-map", "0:v", "-frames:v", "3", *build_ffmpeg_options(codec, options), "-f", "null", "-"]
        code, log = run_program([program, "-hide_banner", "-nostdin", "-v", "verbose", *source, *output * count])
        if code == 0:
            return count
    return diagnose_log(log)


def _halve_down_to_one(number: int) -> Iterator[int]:
    while number > 1:
        yield number
        number //= 2
    yield 1


def _main(codec: str, options: dict[str, str], wanted: int) -> None:
    """Open up to ``wanted`` encoders. Print a line for each that encoded a frame, and the first failure to stderr."""
    import av
    import av.error
    import av.logging

    av.logging.set_level(av.logging.VERBOSE)
    opened = []  # all stay open until the end
    try:
        for _ in range(wanted):
            with av.logging.Capture() as log:
                opened.append(_open_encoder(codec, options))
            sys.stdout.write(f"{_OPENED}\n")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        sys.stderr.write("".join(text for _, _, text in log) + f"{type(error).__name__}: {error}\n")


def _open_encoder(codec: str, options: dict[str, str]) -> object:
    """Return an open encoder that has encoded one frame."""
    import av

    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.framerate, context.time_base = Fraction(30), Fraction(1, 30)
    context.options = options
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts = 0
    context.encode(frame)
    return context


if __name__ == "__main__":
    _main(*json.loads(sys.argv[1]))
