"""Prepares Manim's own options for a job: checks them against its units, and its files against the root."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from backends.errors import SpecError
from renderer.project.root import locate

MANIM_CONFIG = "manim.cfg"
OUTPUT_NAME = "--output_file"
_LONG = {"-o": OUTPUT_NAME, "-c": "--config_file"}
_HINTS = {
    "--config_file": "-c names a file like manim.cfg; a colour goes into it: background_color = {}, below [CLI]",
    "--tex_template": "it is a file of TeX, in the project",
}


def choose_manim_options(options: Sequence[str], units: Sequence[str], root: Path) -> tuple[str, ...]:
    """Return the options with paths relative to the root, where the job runs. Raises SpecError, as Manim does.

    A name for the film is only for one scene, and files must be in the root.
    """
    options = [_LONG.get(word, word) for word in options]
    if (name := find_film_name(options)) and len(units) != 1:
        raise SpecError(
            f"-o {name} names one film, and there are {len(units)} scenes", hint=f"for a folder write -o {name}/"
        )
    pairs = zip(["", *options], options, strict=False)
    return tuple(_find_file(before, word, root) if before in _HINTS else word for before, word in pairs)


def find_film_name(options: Sequence[str]) -> str | None:
    """Return the name that ``-o`` gives the film; None without that."""
    return next((word for before, word in itertools.pairwise(options) if before in {"-o", OUTPUT_NAME}), None)


def find_manim_files(options: Sequence[str], root: Path) -> list[Path]:
    """Return the files of the root that configure Manim: manim.cfg, and those that the options name."""
    top, words = root.resolve(), [_LONG.get(word, word) for word in options]
    given = [locate(Path(word)) for before, word in itertools.pairwise(words) if before in _HINTS]
    return [file for file in (top / MANIM_CONFIG, *given) if file.is_relative_to(top) and file.is_file()]


def _find_file(option: str, text: str, root: Path) -> str:
    path = Path(text)
    if not path.is_file():
        raise SpecError(f"{option}: there is no file {text}", hint=_HINTS[option].format(text))
    if not locate(path).is_relative_to(root.resolve()):
        raise SpecError(f"{option}: {text} is not in {root}, the folder that the job gets", hint="put it there")
    return locate(path).relative_to(root.resolve()).as_posix()
