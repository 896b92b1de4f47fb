"""Makes the worker one file, which a job brings into images that have nothing of renderer in them.

``sh renderer-worker MODULE ARGUMENTS…`` runs a module as `python -I -m` does, with the Python of the image. The file
is a script for any POSIX shell, with a zip file behind it that Python imports from (see zipapp in Python's library).
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__)
_ROOT = _HERE.parents[2]
# What runs where a job runs. The rest of both packages is the client.
_PARTS = (
    *("backends/debug_log.py", "backends/errors.py", "backends/exit_codes.py", "backends/output_stream.py"),
    *("backends/problem.py", "backends/processes.py", "backends/storage.py", "backends/worker_protocol.py"),
    *("backends/local/seccomp.py", "backends/untrusted/*.py"),
    *("backends/kubernetes/names.py", "backends/kubernetes/objects/termination.py", "backends/kubernetes/pod/*.py"),
    *("renderer/model.py", "renderer/bundle/unpack.py", "renderer/worker/*.py"),
    *("renderer/maps/inputs.py", "renderer/system/limits.py"),
)
_ENGINE = (
    *("renderer/engine/**/*.py", "renderer/system/*.py", "renderer/video/*.py"),
    *("backends/files.py", "renderer/mirrors.py", "renderer/voices.py"),
)
_RENDERER = "from renderer.maps.inputs import inputs as inputs\n"  # scenes of a map call renderer.inputs()
_MAIN = """\
import runpy
import sys

runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@functools.cache
def build_worker_archive(*, engine: bool = False) -> bytes:
    """Return the file's content, with the modules that render scenes if ``engine``. Equal modules give equal bytes."""
    buffer = io.BytesIO(_HERE.with_name("start.sh").read_bytes())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in _list_modules((*_PARTS, *_ENGINE) if engine else _PARTS):
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _list_modules(parts: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file. Most packages are empty: what they export is for the client."""
    yield "__main__.py", _MAIN.encode()
    names = {path.relative_to(_ROOT).as_posix() for part in parts for path in _ROOT.glob(part)}
    yield "renderer/__init__.py", _RENDERER.encode()
    names -= {"backends/__init__.py", "renderer/__init__.py"}
    folders = {str(folder) for name in names for folder in Path(name).parents if str(folder) != "."}
    for folder in sorted(
        folders - {"renderer"} - {str(Path(name).parent) for name in names if name.endswith("__init__.py")}
    ):
        yield f"{folder}/__init__.py", b""
    for name in sorted(names):
        yield name, (_ROOT / name).read_bytes()
