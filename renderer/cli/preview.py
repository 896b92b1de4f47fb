"""Opens films for the user when they are there, as `manim render -p` does."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from backends.untrusted import show_line
from renderer.cli.output import print_message

MEDIA = frozenset({".mp4", ".mov", ".webm", ".gif", ".png"})
MOST_OPENED = 5


def open_films(files: list[Path], folder: Path, command: str | None) -> None:
    """Open the films and pictures that are directly in the folder, or say in one note why not."""
    films = [file for file in files if file.suffix in MEDIA and file.parent == folder] or [
        file for file in files if file.suffix in MEDIA
    ]
    opener = shlex.split(command) if command else _find_opener()
    if not films:
        return
    if opener is None and sys.platform == "win32":  # a shell would run what stands after an & in a name
        for film in films[:MOST_OPENED]:
            os.startfile(film.absolute())  # noqa: S606
        return
    if opener is None:
        print_message(f"note: -p: there is no display here to open {show_line(str(films[0]))}")
        return
    for film in films[:MOST_OPENED]:
        try:
            _start([*opener, str(film.absolute())])
        except OSError as error:
            print_message(f"note: -p: cannot run {opener[0]}: {error.strerror}")
            return


def _find_opener() -> list[str] | None:
    """Return the command that opens a file with the user's program for it; None where there is no display."""
    if sys.platform == "darwin":
        return ["open"]
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return ["xdg-open"] if has_display else None


def _start(command: list[str]) -> None:
    """Start a program that stays when this one ends, and whose messages do not disturb."""
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
