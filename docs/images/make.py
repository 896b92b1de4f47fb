"""Makes the animated images of the README: ``.venv/bin/python docs/images/make.py``.

hello.gif is the video of ``renderer submit examples/hello.py``. terminal.gif shows the terminal while it is made, and
made again after one line was changed. The commands really run, in a pseudo-terminal. What they print is drawn with
Pillow, in the time that they took. Needs ffmpeg and the font DejaVu Sans Mono.
"""  # noqa: INP001 - a script

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
HELLO = HERE.parents[1] / "examples" / "hello.py"
COMMANDS = (
    "renderer submit hello.py --quality m",
    "sed -i 's/color=YELLOW/color=RED/' hello.py",
    "renderer submit hello.py --quality m",
)
COLUMNS, ROWS, SIZE = 78, 10, 15  # characters, lines, pixels
MARGIN, LINE = 14, 21
BACKGROUND, FOREGROUND = (24, 26, 32), (214, 218, 224)
COLORS = {
    "33": (222, 184, 92),
    "35": (198, 134, 214),
    "38;5;237": (66, 70, 80),
    "38;5;197": (235, 82, 122),
    "38;5;70": (108, 186, 90),
}
TYPED_MS, LAST_MS, LONGEST_MS = 40, 3500, 700
Cell = tuple[str, tuple[int, int, int]]


class Screen:
    """As much of a terminal as renderer's progress needs: colours, new lines, and lines that are written again."""

    def __init__(self) -> None:
        self.lines: list[list[Cell]] = [[]]
        self._color = FOREGROUND

    def feed(self, text: str) -> None:
        """Show what a program printed."""
        for code, character in re.findall(r"\x1b\[([0-9;?]*[A-Za-z])|([^\x1b])", text):
            if code.endswith("m"):
                self._color = COLORS.get(code[:-1], FOREGROUND)
            elif code.endswith("K"):
                self.lines[-1] = []
            elif character == "\n":
                self.lines.append([])
            elif character and character != "\r":
                self.lines[-1].append((character, self._color))

    def draw(self, font: ImageFont.FreeTypeFont) -> Image.Image:
        """Return the last lines as an image."""
        width = font.getlength("m")
        image = Image.new("RGB", (round(COLUMNS * width) + 2 * MARGIN, ROWS * LINE + 2 * MARGIN), BACKGROUND)
        pen = ImageDraw.Draw(image)
        for row, line in enumerate(self.lines[-ROWS:]):
            for column, (character, color) in enumerate(line[:COLUMNS]):
                pen.text((MARGIN + column * width, MARGIN + row * LINE), character, color, font)
        return image


def run(command: str, folder: Path) -> Iterator[str]:
    """Yield what a command prints to a terminal of its own, as it comes."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        own = {"HOME": str(folder), "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        os.execve("/bin/sh", ["sh", "-c", command], {**os.environ, **own, "PATH": path})  # noqa: S606 - no shell more
    rest = b""
    while True:
        try:
            rest += os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        whole = rest.rpartition(b"\r\x1b[2K")[0] or rest
        text, rest = whole.decode("utf-8", "ignore"), rest[len(whole) :]
        yield text
    yield rest.decode("utf-8", "ignore")
    os.close(terminal)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"failed: {command}")


def terminal(folder: Path) -> None:
    """Write terminal.gif."""
    font = ImageFont.truetype("DejaVuSansMono.ttf", SIZE)
    screen, images, milliseconds = Screen(), [], []

    def show(duration: float) -> None:
        images.append(screen.draw(font).quantize(32))
        milliseconds.append(round(duration))

    for command in COMMANDS:
        screen.feed("$ ")
        for part in re.findall(".{1,3}", command):
            screen.feed(part)
            show(TYPED_MS)
        screen.feed("\n")
        began = time.monotonic()
        for text in run(command, folder):
            milliseconds[-1] = min(round(1000 * (time.monotonic() - began)) + TYPED_MS, LONGEST_MS)
            began = time.monotonic()
            screen.feed(text)
            show(TYPED_MS)
    milliseconds[-1] = LAST_MS
    first, *others = images
    first.save(HERE / "terminal.gif", save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=True)


def video(folder: Path) -> None:
    """Write hello.gif."""
    palette = "split[a][b];[a]palettegen=max_colors=48:stats_mode=diff[p];[b][p]paletteuse=dither=none"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(folder / "renders" / "Hello.mp4")]
    command += ["-vf", f"fps=12,scale=480:-1:flags=lanczos,{palette}", str(HERE / "hello.gif")]
    subprocess.run(command, check=True)


def main() -> None:
    """Make both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(HELLO, folder)
        terminal(folder)
        subprocess.run(["sed", "-i", "s/color=RED/color=YELLOW/", folder / "hello.py"], check=True)
        for _ in run(COMMANDS[0], folder):
            pass
        video(folder)


if __name__ == "__main__":
    main()
