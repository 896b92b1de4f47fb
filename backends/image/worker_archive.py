"""Makes the worker one file, which a job brings into images that have nothing of renderer in them.

``sh renderer-worker MODULE ARGUMENTS…`` runs a module as `python -I -m` does, with the Python of the image. The file
is a script for any POSIX shell, with a zip file behind it that Python imports from (see zipapp in Python's library, and
archive_modules.py).
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from backends.files import cache_folder
from backends.image.archive_modules import MODULES
from backends.untrusted.state_files import read_state, write_state

_DIGEST = hashlib.sha256().digest_size
_HERE = Path(__file__)
_ROOT = _HERE.parents[2]
# What runs where a job runs. The rest of both packages is the client.
_PARTS = (
    *("backends/debug_log.py", "backends/errors.py", "backends/exit_codes.py", "backends/output_stream.py"),
    *("backends/problem.py", "backends/processes.py", "backends/storage.py", "backends/worker_protocol.py"),
    *("backends/local/isolation/seccomp.py", "backends/untrusted/*.py", "backends/chunk_store/__init__.py"),
    *("backends/chunk_store/server.py", "backends/chunk_store/shard_results.py", "backends/chunk_store/stores.py"),
    *("backends/cache/client.py", "backends/cache/entries.py", "backends/cache/server.py"),
    "backends/cache/shared_store.py",
    *("backends/kubernetes/names.py", "backends/kubernetes/objects/termination.py", "backends/kubernetes/pod/*.py"),
    *("renderer/model.py", "renderer/bundle/unpack.py", "renderer/worker/*.py"),
    *("renderer/maps/inputs.py", "renderer/system/limits.py"),
)
_ENGINE = (
    *("renderer/engine/**/*.py", "renderer/system/*.py", "renderer/video/*.py"),
    *("backends/files.py", "backends/cache/key_file.py", "renderer/mirrors.py", "renderer/voices.py"),
)
_BACKENDS = "import renderer_modules\n"
_RENDERER = f"{_BACKENDS}from renderer.maps.inputs import inputs as inputs\n"  # scenes of a map call renderer.inputs()


def is_own_image(image: str) -> bool:
    """Return whether `renderer image build` of this version chose the image's tag, so that the image has the worker."""
    return re.fullmatch(rf".*:{re.escape(version('manim-renderer'))}-[0-9a-f]{{12}}", image) is not None


def read_start_script() -> bytes:
    """Return the file without modules, which is enough in an image of `renderer image build`."""
    return _HERE.with_name("start.sh").read_bytes()


@functools.cache
def build_worker_archive(*, engine: bool = False) -> bytes:
    """Return the file's content, with the modules that render scenes if ``engine``. Equal modules give equal bytes.

    It is kept in the user's cache, because parsing the modules takes a quarter of a second.
    """
    sources = {"": _HERE.with_name("archive_modules.py").read_text("utf-8")}
    sources.update(_read_modules((*_PARTS, *_ENGINE) if engine else _PARTS))
    texts = [read_start_script().decode(), _HERE.read_text("utf-8"), sys.version, zlib.ZLIB_RUNTIME_VERSION]
    key = hashlib.sha256(json.dumps([*texts, sources]).encode()).digest()
    file = cache_folder("worker") / ("scenes" if engine else "scripts")
    with suppress(OSError):
        kept = read_state(file)
        if kept[:_DIGEST] == key and kept[_DIGEST : 2 * _DIGEST] == hashlib.sha256(kept[2 * _DIGEST :]).digest():
            return kept[2 * _DIGEST :]
    data = _build(sources)
    with suppress(OSError):
        write_state(file, key + hashlib.sha256(data).digest() + data)
    return data


def _build(sources: Mapping[str, str]) -> bytes:
    """Return the file's content from the modules by their names; that without a name is the loader of the others."""
    loader, *modules = map(_strip, sources.values())
    files = {
        "renderer_modules.py": loader,
        "backends/__init__.py": _BACKENDS,
        "renderer/__init__.py": _RENDERER,
        MODULES: json.dumps(dict(zip(list(sources)[1:], modules, strict=True)), ensure_ascii=False),
    }
    buffer = io.BytesIO(read_start_script())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text.encode(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _read_modules(parts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield name and source of each module that is taken as it is. Most packages export nothing here."""
    names = {path.relative_to(_ROOT).as_posix() for part in parts for path in _ROOT.glob(part)}
    folders = {folder.as_posix() for name in names for folder in Path(name).parents} - {".", "backends", "renderer"}
    for name in sorted({f"{folder}/__init__.py" for folder in folders} - names):
        yield name, ""
    for name in sorted(names):
        yield name, (_ROOT / name).read_text("utf-8")


def _strip(source: str) -> str:
    """Return a module without docstrings and lines of comments. The other lines keep their numbers, for tracebacks."""
    lines = source.split("\n")
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            inside.update(range(node.lineno + 1, (node.end_lineno or 0) + 1))  # lines that begin within a text
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            _strip_docstring(node.body, lines)
    stripped = (
        "" if line.lstrip().startswith("#") and number not in inside else line for number, line in enumerate(lines, 1)
    )
    return "\n".join(stripped)


def _strip_docstring(body: list[ast.stmt], lines: list[str]) -> None:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines[first.lineno - 1 : first.end_lineno] = [""] * ((first.end_lineno or 0) - first.lineno + 1)
        if len(body) == 1:
            lines[first.lineno - 1] = " " * first.col_offset + "pass"
