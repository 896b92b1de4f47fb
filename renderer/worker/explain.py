"""Says in words why a scene failed: the user's own lines, or what TeX said."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.worker_protocol import UnitError

DETAIL_LINES = 20
LAST_LINES = 5
CONTEXT = 60  # characters of a formula
_TEX_PROGRAMS = frozenset({"latex", "pdflatex", "xelatex", "lualatex", "dvisvgm"})


def failure(error: BaseException, scene: str, source: Path, scratch: Path) -> dict[str, Any]:
    """Give exit code and error of an exception that left the engine; the whole traceback goes to the log."""
    traceback.print_exception(error)
    if isinstance(error, RendererError):
        return {"exit_code": error.exit_code, "error": UnitError(message=str(error), hint=error.hint)}
    lines = _own_lines(error, source)
    if missing := _missing_tex(error):
        message = f"{scene} needs TeX, and the program {missing!r} is not installed"
        hint = "install texlive-latex-extra and dvisvgm, or use the container image"
        return _user(UnitError(message=message, hint=hint, details=lines))
    if said := _tex_message(error, scratch):
        return _user(UnitError(message=f"{scene}: TeX cannot typeset a formula: {said}", details=lines))
    text = str(error).partition("\n")[0]
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if not lines and any("/manim/_config/" in name for name in frames):
        return _user(UnitError(message=f"manim.cfg cannot be used: {text}"))
    message = f"{scene} raised {type(error).__name__}" + (f": {text}" if text else "")
    return _user(UnitError(message=message, details=lines))


def last_words(log: str, source: Path) -> str | None:
    """Find the last Python traceback in a script's log, else its last lines, with files named as the user does."""
    lines = [line for line in log.replace(f"{source}/", "").splitlines() if not line.startswith("openjd_")]
    starts = [index for index, line in enumerate(lines) if line == "Traceback (most recent call last):"]
    if not starts:
        return "\n".join(lines[-LAST_LINES:]) or None
    return "\n".join(lines[starts[-1] : starts[-1] + 1] + lines[starts[-1] + 1 :][-DETAIL_LINES:])


def missing_cuda(log: str) -> str | None:
    """Say what to do when a script did not find CUDA's libraries; None when its log does not say so."""
    found = re.search(
        r"lib(cuda|cudart|cublas|cufft|cudnn|curand|cusolver|cusparse|nvJitLink|nvrtc)\b\S*: cannot open", log
    )
    if not found:
        return None
    if found[1] == "cuda":
        return "there is no NVIDIA driver here: give the job a GPU (--gpu 1)"
    return (
        "CUDA's libraries are not here: use an image on NVIDIA's base, or packages that bring them (image build --with)"
    )


def _user(error: UnitError) -> dict[str, Any]:
    return {"exit_code": ExitCode.USER_CODE, "error": error}


def _own_lines(error: BaseException, source: Path) -> str | None:
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<"):
            continue
        path = Path(frame.filename) if Path(frame.filename).is_absolute() else source / frame.filename
        if path.is_relative_to(source):
            lines.append(f"{path.relative_to(source)}:{frame.lineno} in {frame.name}: {frame.line}")
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"{Path(error.filename).name}:{error.lineno}: {(error.text or '').rstrip()}")
    return "\n".join(lines[-DETAIL_LINES:]) or None


def _missing_tex(error: BaseException) -> str | None:
    if isinstance(error, FileNotFoundError) and error.filename in _TEX_PROGRAMS:
        return str(error.filename)
    return None


def _tex_message(error: BaseException, scratch: Path) -> str | None:
    """Read TeX's own complaint ("! Undefined control sequence.", then the place) from the log that Manim names."""
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
    place = complaint[2].rpartition("'>}")[2].strip()  # Manim wraps the parts of a formula in SVG groups
    return complaint[1].rstrip(".") + (f" at “{place[-CONTEXT:]}”" if place else "")
