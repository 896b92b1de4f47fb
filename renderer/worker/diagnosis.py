"""Turns an exception of a scene, or the log of a script, into a Problem."""

from __future__ import annotations

import bdb
import re
import socket
import traceback
from pathlib import Path

from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.problem import Problem
from renderer.worker.tex_diagnosis import find_missing_program, find_tex_problem

TRACEBACK_LINES = 20
LAST_LINES = 5
_TUNNELS = ("tunl", "sit", "ip6tnl", "ip_vti", "ip6_vti", "gre", "gretap", "erspan")  # of an empty network namespace
_NO_NETWORK = "gaierror|Name or service not known|Temporary failure in name resolution|Network is unreachable"
_TERMINAL_HINT = "remove the call; values can come from files of the project, or from variables (--env)"


def diagnose(error: BaseException, scene: str, source: Path, scratch: Path) -> Problem:
    """Return the Problem for an exception of the engine, and print its whole traceback to the log.

    ``source`` is the folder of the user's files, ``scratch`` the folder in which TeX ran.
    """
    traceback.print_exception(error)
    if isinstance(error, RendererError):
        return Problem(message=str(error), hint=error.hint, exit_code=error.exit_code)
    lines = _find_user_lines(error, source)
    if program := find_missing_program(error):
        message = f"{scene} needs TeX, and the program {program!r} is not installed"
        return _users_problem(message, lines, "install texlive-latex-extra and dvisvgm, or use the container image")
    if problem := find_tex_problem(error, scratch):
        details = [lines, f"the line of TeX: {problem.line}" if problem.line else None]
        message = f"{scene}: TeX cannot typeset a formula: {problem.message}"
        return _users_problem(message, "\n".join(filter(None, details)) or None, problem.hint)
    if call := _find_terminal_call(error):
        return _users_problem(f"{scene} calls {call}, and a job has no terminal", lines, _TERMINAL_HINT)
    text = _shorten_paths(str(error).partition("\n")[0], source)
    message = f"{scene} raised {type(error).__name__}" + (f": {text}" if text else "")
    return _users_problem(message, lines, find_network_hint(f"{type(error).__name__}: {text}"))


def _shorten_paths(text: str, source: Path) -> str:
    """Return the text with the user's paths: the job's own folder is not of interest."""
    return text.replace(f"From: {source}, could not", "could not").replace(f"{source}/", "").replace(str(source), ".")


def find_network_hint(text: str) -> str | None:
    """Return a hint if a program could not reach the network, and the job has none, such as an untrusted one."""
    is_local = all(name == "lo" or name.startswith(_TUNNELS) for _, name in socket.if_nameindex())
    if is_local and re.search(_NO_NETWORK, text):
        return "this job has no network, as every untrusted job: put what it needs into the project, or into the image"
    return None


def find_traceback(log: str, source: Path) -> str | None:
    """Return the last traceback in a script's log, or else its last lines, with paths relative to ``source``."""
    lines = [line for line in log.replace(f"{source}/", "").splitlines() if not line.startswith("openjd_")]
    starts = [index for index, line in enumerate(lines) if line == "Traceback (most recent call last):"]
    if not starts:
        return "\n".join(lines[-LAST_LINES:]) or None
    return "\n".join(lines[starts[-1] : starts[-1] + 1] + lines[starts[-1] + 1 :][-TRACEBACK_LINES:])


def find_hint(log: str) -> str | None:
    """Return a hint for what a script's log shows, if that is known."""
    return find_missing_cuda(log) or find_terminal_hint(log) or find_network_hint(log)


def find_missing_cuda(log: str) -> str | None:
    """Return a hint if the log shows that the script did not find CUDA's libraries; otherwise None."""
    found = re.search(
        r"lib(cuda|cudart|cublas|cufft|cudnn|curand|cusolver|cusparse|nvJitLink|nvrtc)\b\S*: cannot open", log
    )
    if not found:
        return None
    if found[1] == "cuda":
        return "there is no NVIDIA driver here: run it where there is a GPU (on a backend other than local: --gpu 1)"
    return (
        "CUDA's libraries are missing: use an image on NVIDIA's base, or add packages that contain them"
        " (renderer image build --with)"
    )


def find_terminal_hint(log: str) -> str | None:
    """Return a hint if the log shows that the script has asked for input, which nobody can give; otherwise None."""
    asked = log.rstrip().endswith(("\nEOFError: EOF when reading a line", "\nbdb.BdbQuit"))
    return f"a job has no terminal for input() and breakpoint(): {_TERMINAL_HINT}" if asked else None


def _users_problem(message: str, details: str | None, hint: str | None = None) -> Problem:
    return Problem(message=message, hint=hint, details=details, exit_code=ExitCode.USER_CODE)


def _find_user_lines(error: BaseException, source: Path) -> str | None:
    """Return the lines of the traceback that are in the user's files."""
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<"):
            continue
        path = Path(frame.filename) if Path(frame.filename).is_absolute() else source / frame.filename
        if source in path.parents:
            lines.append(f"{path.relative_to(source)}:{frame.lineno} in {frame.name}: {frame.line}")
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"{Path(error.filename).name}:{error.lineno}: {(error.text or '').rstrip()}")
    return "\n".join(list(dict.fromkeys(lines))[-TRACEBACK_LINES:]) or None


def _find_terminal_call(error: BaseException) -> str | None:
    """Return what the user's code calls that needs a terminal, if the error comes from that."""
    calls = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, bdb.BdbQuit):
        return "breakpoint()"
    if isinstance(error, EOFError) and str(error) == "EOF when reading a line":
        return "input()"
    embeds = [name for name in calls if name in {"embed", "interactive_embed"}]  # of Manim's scenes
    return f"{embeds[0]}()" if isinstance(error, AssertionError) and embeds else None
