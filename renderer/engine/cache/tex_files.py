r"""Keeps the SVG files that TeX and dvisvgm make of formulas from render to render, in the chunk cache.

Manim names such a file by a hash of its TeX source. The key here has all else that is known before TeX runs: programs,
environment variables, lists of installed packages. The entry names each file that TeX read, and is used only while
these are the same. Nothing is kept of formulas that depend on more: the time, chance, files that other programs read.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from manim import config
from manim.mobject.text import tex_mobject
from manim.utils import tex_file_writing

from renderer.engine.cache.chunk_key import ChunkKey
from renderer.engine.cache.interface import Cache
from renderer.mirrors import mirrors

_NOT_KEPT = re.compile(
    r"\\(today|time|year|month|day|directlua|write18|ShellEscape)\b|special\s*\{\s*(?!dvisvgm:raw)"
    r"|rand|rnd|deviate|\bPath\s*="
)
_NOT_AHEAD = re.compile(r"FileExists|\\openin\b")  # the scene may create the file before it asks for the formula
_CLOCK_S = 0.1  # by which the kernel's time of a change may lag behind
_CLASSIC_COMPILERS = {"latex", "pdflatex"}  # the others read fonts of the system, which they do not record
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
_TEX_TREES = ("/var/lib/texmf", "/usr/share/texmf", "/usr/share/texlive/texmf-dist", "/usr/local/share/texmf")
_VARIABLES = {"openin_any", "openout_any", "shell_escape", "SOURCE_DATE_EPOCH", "FORCE_SOURCE_DATE"}
_TEX_SUFFIXES = {".tex", ".sty", ".cls", ".clo", ".def", ".cfg", ".fd", ".ldf", ".enc", ".map", ".tfm", ".pfb", ".lua"}

_COMMENT = "<!-- fonts: "
_MOST_PROBLEMS = 10
_REPLACED_FONT = re.compile(r"Font shape `([^']+)' undefined\s+using `([^']+)' instead")
_MISSING_CHARACTER = re.compile(r"Missing character: There is no (\S+)(?: \([^)]*\))? in font ([^!\s]+)")

_MANIM_TEX_TO_SVG = tex_file_writing.tex_to_svg_file
_MANIM_COMMAND = tex_file_writing.make_tex_compilation_command

Inputs = Mapping[str, object]  # the identity of each file that TeX read, by its path


@mirrors("manim.utils.tex_file_writing:make_tex_compilation_command", sha256="42e6959b905c8a6f")
def make_recording_command(tex_compiler: str, output_format: str, tex_file: Path, tex_dir: Path) -> list[str]:
    """Return Manim's command, with the option that has TeX record which files it reads."""
    program, *rest = _MANIM_COMMAND(tex_compiler, output_format, tex_file, tex_dir)
    return [program, "-recorder", *rest]


class TexFiles:
    """Makes the SVG files of formulas, or takes them from a cache. ``locks`` is a folder for files.

    Several processes may use one: each formula is typeset by one of them.
    """

    def __init__(self, cache: Cache, locks: Path) -> None:
        self._cache, self._locks = cache, locks
        locks.mkdir()

    def install(self) -> None:
        """Have Manim call ``typeset``, in this process and in those forked from it."""
        tex_file_writing.make_tex_compilation_command = make_recording_command
        tex_mobject.tex_to_svg_file = self.typeset

    @mirrors("manim.utils.tex_file_writing:tex_to_svg_file", sha256="d28d36113ef0da41")
    def typeset(
        self, expression: str, environment: str | None = None, tex_template: Any = None, *, ahead: bool = False
    ) -> Path:
        """Return the SVG file of a formula; Manim does it by a function with these arguments.

        If another process typesets the formula, wait for it. With ``ahead``, the cache alone shall have the formula:
        return at once, without a file, if another process typesets it or if it cannot be kept. It is kept only if all
        files that TeX read are older: those that the scene writes meanwhile may be others when it asks for the formula.
        """
        template = config["tex_template"] if tex_template is None else tex_template
        source: Path = tex_file_writing.generate_tex_file(expression, environment, template)
        svg = source.with_suffix(".svg")
        if svg.exists():
            return svg
        key = _compute_key(source, template.tex_compiler, template.output_format)
        if ahead and (key is None or _NOT_AHEAD.search(source.read_text("utf-8"))):
            return svg
        with self._lock(source.stem, waits=not ahead) as is_own:
            if is_own and (key is None or not _restore(self._cache, key, svg)):
                self._make(expression, environment, template, key, newest=time.time() - _CLOCK_S if ahead else None)
        return svg

    def _make(
        self, expression: str, environment: str | None, template: Any, key: ChunkKey | None, newest: float | None
    ) -> None:
        cleans_up, config.no_latex_cleanup = not config.no_latex_cleanup, True
        try:
            svg = _MANIM_TEX_TO_SVG(expression, environment, template)
            _note_font_problems(svg)
        finally:
            config.no_latex_cleanup = not cleans_up
        if key is not None:
            _keep(self._cache, key, svg, newest)
        if cleans_up:
            tex_file_writing.delete_nonsvg_files()

    @contextmanager
    def _lock(self, name: str, *, waits: bool) -> Iterator[bool]:
        """Hold the lock of a formula within the block. Yield whether this process has it."""
        with (self._locks / name).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def _note_font_problems(svg: Path) -> None:
    """Append what TeX's log says of fonts to the SVG file, as a comment, to know it when the file is used again."""
    try:
        log = svg.with_suffix(".log").read_text("utf-8", "replace").replace("\n(Font)", " ")
    except OSError:
        return
    found = [f"TeX used {to} for {name}" for name, to in _REPLACED_FONT.findall(log)]
    found += [f"the font {font} has no character {char}" for char, font in _MISSING_CHARACTER.findall(log)]
    if found:
        text = json.dumps(sorted(set(found))[:_MOST_PROBLEMS]).replace("--", "- -")
        with svg.open("a", encoding="utf-8") as file:
            file.write(f"{_COMMENT}{text} -->\n")


def read_font_problems(svg: Path) -> tuple[str, ...]:
    """Return what TeX said of fonts when it made the SVG file of a formula: which it replaced, and what they lack."""
    try:
        _, found, comment = svg.read_text("utf-8", "replace").rpartition(_COMMENT)
        return tuple(map(str, json.loads(comment.removesuffix("-->\n")))) if found else ()
    except (OSError, ValueError):
        return ()


def _compute_key(source: Path, compiler: str | list[str], output_format: str) -> ChunkKey | None:
    """Return the key of a formula; None where its SVG file must not be kept."""
    text = source.read_text("utf-8")
    compilers = [compiler] if isinstance(compiler, str) else list(compiler)
    programs = _describe_programs((*compilers, "dvisvgm"), os.environ.get("PATH"))
    if programs is None or _NOT_KEPT.search(text):
        return None
    variables = sorted(item for item in os.environ.items() if item[0] in _VARIABLES or item[0].startswith("TEX"))
    own_names = sorted(entry.name for entry in os.scandir() if Path(entry.name).suffix in _TEX_SUFFIXES)
    parts = ("TeX", version("manim"), text, compilers, output_format, programs, variables, own_names)
    key = ChunkKey(repr(parts), group="tex")
    key.add_frame(b"", 1)
    return key


@lru_cache(maxsize=8)
def _describe_programs(names: tuple[str, ...], path: str | None) -> object:
    """Return what identifies the programs and the packages that they find; None if a program is missing."""
    found = [shutil.which(name, path=path) for name in names]
    if None in found:
        return None
    programs = [Path(program).resolve() for program in found if program]
    trees = [*map(Path, _TEX_TREES), *(program.parent.parent.parent / "texmf-dist" for program in programs[:-1])]
    lists = [path.resolve() for tree in trees for path in (tree / "ls-R", tree / "web2c")]
    own_tree = sorted(str(path) for path in (Path.home() / "texmf").rglob("*"))
    fonts: list[Path] = []
    if not set(names[:-1]) <= _CLASSIC_COMPILERS:
        roots = [Path(folder).expanduser() for folder in _FONT_FOLDERS]
        fonts = [folder for root in roots for folder in (root, *root.rglob("*/"))]
    return [(str(path), _identify_by_time(path)) for path in (*programs, *lists, *fonts)], own_tree


def _restore(cache: Cache, key: ChunkKey, svg: Path) -> bool:
    """Write the kept SVG file, if there is one whose inputs are as they were; return whether it was there."""
    entry = svg.with_suffix(".kept")
    if not cache.restore(key, entry):
        return False
    header, _, content = entry.read_bytes().partition(b"\n")
    try:
        is_as_kept = all(_identify_input(path) == identity for path, identity in json.loads(header).items())
    except (AttributeError, RecursionError, ValueError):  # shards get formulas from a store that others may write
        return False
    if not is_as_kept:
        return False
    entry.write_bytes(content)
    entry.rename(svg)
    return True


def _keep(cache: Cache, key: ChunkKey, svg: Path, newest: float | None) -> None:
    """Keep the SVG file, unless TeX read a file that was changed after ``newest``, in seconds since the epoch."""
    try:
        inputs = _read_inputs(svg.with_suffix(".fls"))
        if newest is not None and any(Path(path).stat().st_mtime > newest for path in inputs):
            return
    except OSError:  # a program that does not record, or a file that is gone
        return
    entry = svg.with_suffix(".kept")
    entry.write_bytes(json.dumps(inputs).encode() + b"\n" + svg.read_bytes())
    cache.keep(key, entry)
    entry.unlink()


def _read_inputs(record: Path) -> Inputs:
    """Return the files that TeX has read, but for those in its own folder."""
    lines = record.read_text("utf-8", "surrogateescape").splitlines()
    paths = {line.removeprefix("INPUT ") for line in lines if line.startswith("INPUT ")}
    return {
        path: _identify_input(path) for path in sorted(paths) if not path.startswith((f"{record.parent}/", "/dev/"))
    }


def _identify_input(path: str) -> object:
    """Return what identifies a file: its content for one of the project; size and time for others."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        return _identify_by_time(Path(path))
    try:
        return blake2b(Path(path).read_bytes(), digest_size=20).hexdigest()
    except OSError:
        return None


def _identify_by_time(path: Path) -> list[int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]
