r"""Limits what TeX and dvisvgm can reach: the text of a formula may come from somebody else than the scene's author.

TeX itself reads what ``\input`` names, and dvisvgm runs the PostScript of ``\special{ps: …}``, which can read and write
files and start programs. With this module they open files of the project, of the TeX installation, and their own.
Not covered: Lua code in LuaTeX (``\directlua``), which may open any file; links in the project; images that pdflatex
finds by ``..``, PDF files and headers that a ``\special`` names; and PostScript sees the environment variables.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ParamSpec

ParamsT = ParamSpec("ParamsT")

# Variables of TeX: files by relative paths without "..", and no other programs. Where the user has set one, it stays.
_PARANOID = {"openin_any": "p", "openout_any": "p", "shell_escape": "f"}
_PROLOGUE = "tex.pro"  # the PostScript that dvisvgm runs before that of a formula
# Ghostscript finds its own files in the first two; a pattern for files that may be opened is a path that ends in "*".
_LOCK = """%!
[LIBPATH aload pop currentuserparams /ICCProfilesDir get] {{
  dup length 1 add string dup 0 4 -1 roll putinterval dup dup length 1 sub 42 put
  /PermitFileReading exch .addcontrolpath
}} forall
{permissions}
.activatepathcontrol
"""


def restrict_tex() -> None:
    """Have Manim start TeX and dvisvgm with these limits, in this process and in those that are forked from it."""
    from manim.utils import tex_file_writing

    tex_file_writing.compile_tex = _run_within(_limit_tex, tex_file_writing.compile_tex)
    tex_file_writing.convert_to_svg = _run_within(_limit_postscript, tex_file_writing.convert_to_svg)


def _run_within(
    limits: Callable[[], AbstractContextManager[None]], make: Callable[ParamsT, Path]
) -> Callable[ParamsT, Path]:
    """Return a function that calls ``make``, one of Manim's, within the limits."""

    @functools.wraps(make)
    def make_within(*args: ParamsT.args, **kwargs: ParamsT.kwargs) -> Path:
        with limits():
            return make(*args, **kwargs)

    return make if hasattr(make, "__wrapped__") else make_within


@contextmanager
def _limit_tex() -> Iterator[None]:
    """Limit TeX to relative paths, and to the folder where Manim has it work, which has an absolute path."""
    own = {name: os.environ.get(name, value) for name, value in _PARANOID.items()}
    with _environment({**own, "TEXMFOUTPUT": _tex_folder()}), _without_expected_refusals():
        yield


@contextmanager
def _without_expected_refusals() -> Iterator[None]:
    """Print what TeX writes to stderr, without its refusals to open a file that LaTeX's class "standalone" tries."""
    with tempfile.TemporaryFile() as printed:
        stderr = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            os.write(2, re.sub(rb"\n?.*: Not reading from /dev/null .*\n", b"", printed.read()))


@contextmanager
def _limit_postscript() -> Iterator[None]:
    """Have dvisvgm run a prologue that ends the access to other files before it runs TeX's."""
    with tempfile.TemporaryDirectory(prefix="prologue-") as folder:
        original = _find_prologue()
        lock = _LOCK.format(permissions=_list_permissions(original)).encode()
        Path(folder, _PROLOGUE).write_bytes(lock + (original.read_bytes() if original else b""))
        with _environment(
            {"TEXPSHEADERS": f"{folder}:{os.environ.get('TEXPSHEADERS', '')}"}
        ):  # ":" at the end: default
            yield


def _list_permissions(prologue: Path | None) -> str:
    """Return PostScript that permits the project's files, those of TeX, and dvisvgm's temporary images."""
    images = f"{tempfile.gettempdir()}/dvisvgm-*"
    readable = [f"{Path.cwd()}/*", f"{_tex_folder()}/*", images]
    if prologue:  # texmf-dist/dvips/base/tex.pro
        readable.append(f"{prologue.parents[2]}/*")
    permissions = [*(("Reading", pattern) for pattern in readable), ("Writing", images)]
    return "\n".join(f"/PermitFile{kind} <{os.fsencode(path).hex()}> .addcontrolpath" for kind, path in permissions)


def _tex_folder() -> str:
    """Return the folder where Manim has TeX work."""
    from manim import config

    return str(config.get_dir("tex_dir").as_posix())


@functools.cache
def _find_prologue() -> Path | None:
    """Return the path of TeX's own prologue."""
    if not shutil.which("kpsewhich"):  # TeX without its search program
        return None
    done = subprocess.run(["kpsewhich", _PROLOGUE], capture_output=True, check=False)
    return Path(os.fsdecode(done.stdout).strip()) if done.stdout.strip() else None


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
