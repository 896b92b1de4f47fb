"""TeX, fonts and ffmpeg."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from backends.diagnostics import Check
from renderer.system.run import ask, first_line

_TEX = ("latex", "xelatex", "dvisvgm")
_TEX_FILES = ("standalone.cls", "amsmath.sty", "babel.sty", "ctex.sty", "dsfont.sty", "lmodern.sty", "physics.sty")
_FONTS = {"Chinese, Japanese, Korean": ":lang=zh-cn", "emoji": ":lang=und-zsye"}


def lines() -> Iterator[Check]:
    """Give the lines."""
    yield _tex()
    yield _fonts()
    yield _ffmpeg()


def _tex() -> Check:
    missing = [name for name in _TEX if shutil.which(name) is None]
    if missing:
        todo = "apt install texlive-latex-extra texlive-xetex texlive-lang-chinese dvisvgm, or use the image"
        return Check("TeX", "warning", f"not installed: {', '.join(missing)}", f"for formulas: {todo}")
    _, places = ask(["kpsewhich", *_TEX_FILES])
    absent = [name for name in _TEX_FILES if name not in places]
    _, version = ask(["latex", "--version"])
    if absent:
        return Check(
            "TeX", "warning", f"{first_line(version)}; without {', '.join(absent)}", "install them, or TEX=full"
        )
    return Check("TeX", "ok", first_line(version))


def _fonts() -> Check:
    code, listed = ask(["fc-list", ":", "family"])
    if code is None:
        return Check("fonts", "warning", f"fc-list is {listed}", "apt install fontconfig fonts-noto-core")
    missing = [script for script, pattern in _FONTS.items() if not ask(["fc-list", pattern, "family"])[1]]
    found = f"{len(set(listed.splitlines()))} families"
    if missing:
        todo = "apt install fonts-noto-cjk fonts-symbola, or their text becomes boxes"
        return Check("fonts", "warning", f"{found}, none for {' and '.join(missing)}", todo)
    if ask(["fc-match", "--format", "%{color}", "emoji"])[1] == "True":
        todo = "only scenes with emoji: docker/fonts.conf of the project shows how to prefer outlines (Symbola)"
        return Check("fonts", "warning", f"{found}; emoji are color pictures, which Manim's Text leaves out", todo)
    return Check("fonts", "ok", f"{found}, with Chinese, Japanese, Korean and emoji")


def _ffmpeg() -> Check:
    code, version = ask(["ffmpeg", "-version"])
    if code != 0:
        todo = "only NVENC with drivers below 570 needs it: apt install ffmpeg"
        return Check("ffmpeg", "warning", f"the program is {first_line(version)}", todo)
    return Check("ffmpeg", "ok", first_line(version).partition(" Copyright")[0])
