"""Finds out why TeX could not typeset a formula: what it says, the line of TeX, and how to write that line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

TEX_FILES = "TeX opens only files of the project, by relative paths without .."
FORMULA_CHARACTERS = 60
_PROGRAMS = frozenset({"latex", "pdflatex", "xelatex", "lualatex", "luatex", "dvisvgm"})
_GROUP = re.compile(r"\\special\{dvisvgm:raw [^}]*\}")  # Manim wraps each term of a formula in an SVG group
_LATEX_ERROR = re.compile(r"! ((?:LaTeX|Package|Class)\b.*? Error: (?:.+\n)+?)(?=\n|See the )")
_COMMENT = re.compile(r"(?<!\\)(?:\\\\)*%")
_HINTS = (  # by the beginning of what TeX says
    ("Misplaced alignment tab", r"write \& for an ampersand"),
    ("Missing $ inserted", r"formulas belong into MathTex, or between $ signs; write \_ for an underscore, \^{} for ^"),
    ("You can't use `macro parameter character #'", r"write \# for a number sign"),
    ("Undefined control sequence", "check the spelling, or add the package that defines it to the TexTemplate"),
    ("LaTeX Error: File `", "install the TeX package that contains it, or use an image that has it"),
    (
        "LaTeX Error: Unicode character",
        "use Text, or a TexTemplate for these characters, such as TexTemplateLibrary.ctex",
    ),
    ("Missing } inserted", "check the braces of the formula"),
    ("Extra }", "check the braces of the formula"),
)


@dataclass(frozen=True)
class TexProblem:
    """What is wrong with a formula. ``line`` is the line of TeX."""

    message: str
    hint: str | None = None
    line: str | None = None


def find_missing_program(error: BaseException) -> str | None:
    """Return the name of the TeX program that is not installed, if that is the error."""
    return str(error.filename) if isinstance(error, FileNotFoundError) and error.filename in _PROGRAMS else None


def find_tex_problem(error: BaseException, scratch: Path) -> TexProblem | None:
    """Return what is wrong with the formula that Manim was typesetting when it raised the error; None if not so."""
    if named := re.search(r"the log file: (.+)$", str(error)):
        return _read_log(_find_file(Path(named[1]), scratch))
    for frame in _walk_frames(error):
        if frame.f_code.co_name == "convert_to_svg" and isinstance(error, ValueError):
            source = Path(frame.f_locals["dvi_file"]).with_suffix(".tex")
            return _find_silent_cause(_read_text(_find_file(source, scratch)))
    return None


def _find_file(path: Path, scratch: Path) -> Path:
    """Return where the file is now: a link to the folder in the scratch may have been removed after the render."""
    return path if path.exists() else next(scratch.rglob(path.name), path)


def _read_log(path: Path) -> TexProblem | None:
    """Return TeX's message ("! Undefined control sequence."), where it is, and the line of the formula."""
    log = _read_text(path)
    found = re.search(r"(?m)^! (.+)\n(?:<.*?> |l\.\d+ )?(.*)$", log)
    if not found:
        return None
    complaint, beginning = found[1].rstrip("."), found[2].strip()
    if whole := _LATEX_ERROR.match(log, found.start()):  # in more lines than one
        complaint, beginning = re.sub(r"\n(\(\w+\))? *", " ", whole[1]).strip().rstrip("."), ""
    place = re.search(r"(?m)^l\.(\d+) ?(.*)$", log[found.start() :])
    beginning = beginning or (place[2] if place and not place[2].startswith(r"\end{") else "")
    beginning = beginning.rpartition("'>}")[2].strip()
    line = _find_line(_read_text(path.with_suffix(".tex")).splitlines(), int(place[1])) if place else None
    hint = next((hint for start, hint in _HINTS if complaint.startswith(start)), None)
    hint = TEX_FILES if re.search(r"File `(/|.*\.\./)", complaint) else hint
    message = complaint + (f" at “{beginning[-FORMULA_CHARACTERS:]}”" if beginning else "")
    return TexProblem(message, hint, line)


def _find_line(lines: list[str], number: int) -> str | None:
    """Return that line of the formula; of an environment that TeX reads as a whole, the last one before its end."""
    while 1 < number <= len(lines) and lines[number - 1].startswith(r"\end{"):
        number -= 1
    return _GROUP.sub("", lines[number - 1]).strip() if 0 < number <= len(lines) else None


def _find_silent_cause(source: str) -> TexProblem:
    """Return why TeX was content, and there is yet no SVG file."""
    body = source.partition(r"\begin{document}")[2].partition(r"\end{document}")[0]
    for line in body.splitlines():
        plain = _GROUP.sub("", line).strip()
        if found := _COMMENT.search(plain):
            hint = r"write \% for a percent sign"
            return TexProblem(f"a comment begins at the % in “{plain[: found.end()]}”", hint, plain)
    return TexProblem("dvisvgm made no SVG file of it; the log has its messages")


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _walk_frames(error: BaseException) -> Iterator[FrameType]:
    step = error.__traceback__
    while step:
        yield step.tb_frame
        step = step.tb_next
