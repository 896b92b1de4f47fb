"""Opens an encoder for real and encodes a frame with it, in a process of its own.

A process that has talked to the CUDA driver must not fork painters, so the worker never does it itself.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from fractions import Fraction

from renderer.system import isolated
from renderer.system.run import ask
from renderer.video.diagnosis import Refusal, refusal

WIDTH, HEIGHT = 640, 360  # above the least of every NVENC generation
_OPENED = "opened"


def sessions(codec: str, via: str, options: dict[str, str], wanted: int) -> int | Refusal:
    """Give how many encoders of this kind open side by side, at most ``wanted``; or why not even one does."""
    if via == "ffmpeg":
        return _by_program(codec, options, wanted)
    _, said = ask(isolated.command(__name__, json.dumps([codec, options, wanted])))
    return said.splitlines().count(_OPENED) or refusal(said)


def ffmpeg_options(codec: str, options: dict[str, str]) -> list[str]:
    """Write a codec and its options as arguments of the ffmpeg program."""
    pairs = [word for key, value in options.items() for word in (f"-{key}:v", value)]
    return ["-c:v", codec, *pairs, "-pix_fmt", "yuv420p"]


def _by_program(codec: str, options: dict[str, str], wanted: int) -> int | Refusal:
    program = shutil.which("ffmpeg")
    if program is None:
        return Refusal("the ffmpeg program is not installed", "install ffmpeg, or use the image")
    said = ""
    for count in _fewer(wanted):
        source = ["-f", "lavfi", "-i", f"color=size={WIDTH}x{HEIGHT}:rate=30"]
        output = ["-map", "0:v", "-frames:v", "3", *ffmpeg_options(codec, options), "-f", "null", "-"]
        command = [program, "-hide_banner", "-nostdin", "-v", "verbose", *source, *output * count]
        code, said = ask(command)
        if code == 0:
            return count
    return refusal(said)


def _fewer(wanted: int) -> Iterator[int]:
    while wanted > 1:
        yield wanted
        wanted //= 2
    yield 1


def _main(codec: str, options: dict[str, str], wanted: int) -> None:
    """Print a line for each encoder that opened and took a frame; the log of the first that did not on stderr."""
    import av
    import av.error
    import av.logging

    av.logging.set_level(av.logging.VERBOSE)
    opened = []
    try:
        for _ in range(wanted):
            with av.logging.Capture() as log:
                opened.append(_opened(codec, options))
            sys.stdout.write(f"{_OPENED}\n")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        sys.stderr.write("".join(text for _, _, text in log) + f"{type(error).__name__}: {error}\n")


def _opened(codec: str, options: dict[str, str]) -> object:
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
