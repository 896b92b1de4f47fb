"""Turns an exception of a scene, or the log of a script, into a Problem."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.problem import Problem

TRACEBACK_LINES = 20
LAST_LINES = 5
FORMULA_CHARACTERS = 60
TEX_FILES = "TeX opens only files of the project, by relative paths without .."
_TEX_PROGRAMS = frozenset({"latex", "pdflatex", "xelatex", "lualatex", "dvisvgm"})


def diagnose(error: BaseException, scene: str, source: Path, scratch: Path) -> Problem:
    """Return the Problem for an exception of the engine, and print its whole traceback to the log.

    ``source`` is the folder of the user's files, ``scratch`` the folder in which TeX ran.
    """
    traceback.print_exception(error)
    if isinstance(error, RendererError):
        return Problem(message=str(error), hint=error.hint, exit_code=error.exit_code)
    lines = _find_user_lines(error, source)
    if program := _find_missing_tex(error):
        message = f"{scene} needs TeX, and the program {program!r} is not installed"
        return _users_problem(message, lines, "install texlive-latex-extra and dvisvgm, or use the container image")
    if complaint := _read_tex_complaint(error, scratch):
        hint = TEX_FILES if re.search(r"File `(/|.*\.\./)", complaint) else None
        return _users_problem(f"{scene}: TeX cannot typeset a formula: {complaint}", lines, hint)
    text = str(error).partition("\n")[0]
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if not lines and any("/manim/_config/" in name for name in files):
        return _users_problem(f"manim.cfg cannot be used: {text}", None)
    return _users_problem(f"{scene} raised {type(error).__name__}" + (f": {text}" if text else ""), lines)


def find_traceback(log: str, source: Path) -> str | None:
    """Return the last traceback in a script's log, or else its last lines, with paths relative to ``source``."""
    lines = [line for line in log.replace(f"{source}/", "").splitlines() if not line.startswith("openjd_")]
    starts = [index for index, line in enumerate(lines) if line == "Traceback (most recent call last):"]
    if not starts:
        return "\n".join(lines[-LAST_LINES:]) or None
    return "\n".join(lines[starts[-1] : starts[-1] + 1] + lines[starts[-1] + 1 :][-TRACEBACK_LINES:])


def find_missing_cuda(log: str) -> str | None:
    """Return a hint if the log shows that the script did not find CUDA's libraries; otherwise None."""
    found = re.search(
        r"lib(cuda|cudart|cublas|cufft|cudnn|curand|cusolver|cusparse|nvJitLink|nvrtc)\b\S*: cannot open", log
    )
    if not found:
        return None
    if found[1] == "cuda":
        return "there is no NVIDIA driver here: request a GPU for the job (--gpu 1)"
    return (
        "CUDA's libraries are missing: use an image on NVIDIA's base, or add packages that contain them"
        " (renderer image build --with)"
    )


def _users_problem(message: str, details: str | None, hint: str | None = None) -> Problem:
    return Problem(message=message, hint=hint, details=details, exit_code=ExitCode.USER_CODE)


def _find_user_lines(error: BaseException, source: Path) -> str | None:
    """Return the lines of the traceback that are in the user's files."""
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<"):
            continue
        path = Path(frame.filename) if Path(frame.filename).is_absolute() else source / frame.filename
        if path.is_relative_to(source):
            lines.append(f"{path.relative_to(source)}:{frame.lineno} in {frame.name}: {frame.line}")
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"{Path(error.filename).name}:{error.lineno}: {(error.text or '').rstrip()}")
    return "\n".join(lines[-TRACEBACK_LINES:]) or None


def _find_missing_tex(error: BaseException) -> str | None:
    if isinstance(error, FileNotFoundError) and error.filename in _TEX_PROGRAMS:
        return str(error.filename)
    return None


def _read_tex_complaint(error: BaseException, scratch: Path) -> str | None:
    """Return TeX's message ("! Undefined control sequence.") and its line, from the log file that Manim names."""
    named = re.search(r"the log file: (.+)$", str(error))
    if not named:
        return None
    path = Path(named[1]) if Path(named[1]).is_absolute() else scratch / named[1]
    try:
        log = path.read_text("utf-8", "replace")
    except OSError:
        return None
    complaint = re.search(r"(?m)^! (.+)\n(?:<.*?> |l\.\d+ )?(.*)$", log)
    if not complaint:
        return None
    formula = complaint[2].rpartition("'>}")[2].strip()  # Manim wraps each term of a formula in an SVG group
    return complaint[1].rstrip(".") + (f" at “{formula[-FORMULA_CHARACTERS:]}”" if formula else "")
