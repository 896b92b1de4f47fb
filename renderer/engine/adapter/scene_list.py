"""A program that writes which scenes Manim lists for a file: ``ANSWER FILE [FOLDER …]``, in the project's folder.

The folders are those of PYTHONPATH. It runs the file, in a process of its own, whose memory it limits. What the file
prints is not of interest.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from renderer.engine.adapter.loader import find_imported_scenes, load_module

ERROR_CHARACTERS = 300


def main() -> None:
    """Write the answer as JSON: ``scenes`` and ``imported``, or ``error``. End whatever the file has left running."""
    answer, file = Path(sys.argv[1]), Path(sys.argv[2])
    _limit_memory()
    sys.path[:] = [*sys.argv[3:], *sys.path, str(Path.cwd())]
    sys.argv = [str(file)]
    try:
        content = _list_scenes(file)
    except BaseException as error:  # noqa: BLE001  # a file may raise anything
        text = str(error).partition("\n")[0][:ERROR_CHARACTERS]
        content = {"error": f"{type(error).__name__}: {text}" if text else type(error).__name__}
    answer.write_text(json.dumps(content), "utf-8")
    os._exit(0)


def _list_scenes(file: Path) -> dict[str, object]:
    """Return the scenes in the order in which the file binds them to their names, and those that it only imports."""
    from manim.utils.module_ops import get_scene_classes_from_module

    module = load_module(file)
    listed = set(get_scene_classes_from_module(module))
    bound = [(key, item) for key, item in vars(module).items() if inspect.isclass(item) and item in listed]
    ordered = sorted(bound, key=lambda pair: pair[0] != pair[1].__name__)  # a loop's variable also has one of them
    docs = {item.__name__: inspect.cleandoc(item.__doc__ or "").partition("\n")[0] or None for _, item in ordered}
    return {
        "scenes": [{"name": name, "doc": doc} for name, doc in docs.items()],
        "imported": find_imported_scenes(module),
    }


def _limit_memory() -> None:
    """Limit this process to half of the machine's memory, where the system can do so."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        resource.setrlimit(resource.RLIMIT_DATA, (half, half))


if __name__ == "__main__":
    main()
