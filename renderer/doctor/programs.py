"""Checks TeX, fonts and the ffmpeg program."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from backends.diagnostics import Check
from renderer.system.run import first_line, run_program

_TEX_PROGRAMS = ("latex", "xelatex", "dvisvgm")
_TEX_FILES = ("standalone.cls", "amsmath.sty", "babel.sty", "ctex.sty", "dsfont.sty", "lmodern.sty", "physics.sty")
_FONT_PATTERNS = {"Chinese, Japanese, Korean": ":lang=zh-cn", "emoji": ":lang=und-zsye"}


def check_programs() -> Iterator[Check]:
    """Yield one check each of TeX, fonts and ffmpeg."""
    yield _check_tex()
    yield _check_fonts()
    yield _check_ffmpeg()


def _check_tex() -> Check:
    missing = [name for name in _TEX_PROGRAMS if shutil.which(name) is None]
    if missing:
        hint = "for formulas: apt install texlive-latex-extra texlive-xetex texlive-lang-chinese dvisvgm"
        return Check("TeX", "warning", f"not installed: {', '.join(missing)}", hint)
    _, paths = run_program(["kpsewhich", *_TEX_FILES])
    _, version = run_program(["latex", "--version"])
    if absent := [name for name in _TEX_FILES if name not in paths]:
        found = f"{first_line(version)}; not installed: {', '.join(absent)}"
        return Check("TeX", "warning", found, "install these TeX packages, or build the image with --tex full")
    return Check("TeX", "ok", first_line(version))


def _check_fonts() -> Check:
    code, listed = run_program(["fc-list", ":", "family"])
    if code is None:
        return Check("fonts", "warning", f"fc-list is {listed}", "apt install fontconfig fonts-noto-core")
    found = f"{len(set(listed.splitlines()))} families"
    missing = [name for name, pattern in _FONT_PATTERNS.items() if not run_program(["fc-list", pattern, "family"])[1]]
    if missing:
        hint = "apt install fonts-noto-cjk fonts-symbola; without them such text is drawn as boxes"
        return Check("fonts", "warning", f"{found}, none for {' and '.join(missing)}", hint)
    if run_program(["fc-match", "--format", "%{color}", "emoji"])[1] == "True":
        hint = "only for scenes with emoji: prefer an outline font (Symbola) as docker/fonts.conf does"
        return Check("fonts", "warning", f"{found}; emoji are colour bitmaps, which Manim's Text does not draw", hint)
    return Check("fonts", "ok", f"{found}, with Chinese, Japanese, Korean and emoji")


def _check_ffmpeg() -> Check:
    code, version = run_program(["ffmpeg", "-version"])
    if code != 0:
        hint = "only needed for NVENC with drivers older than 570: apt install ffmpeg"
        return Check("ffmpeg", "warning", f"the program is {first_line(version)}", hint)
    return Check("ffmpeg", "ok", first_line(version).partition(" Copyright")[0])
