"""The folders of PYTHONPATH, and which of them a job gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PythonPath:
    """The folders of PYTHONPATH: those in the root, relative to it and with slashes, and those ``outside`` of it."""

    inside: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


def read_python_path(root: Path, environ: Mapping[str, str] | None = None) -> PythonPath:
    """Return the folders and archives of PYTHONPATH that exist.

    Relative ones are in the current folder, as for Python.
    """
    text = (os.environ if environ is None else environ).get("PYTHONPATH", "")
    root = root.resolve()
    inside: dict[str, None] = {}
    outside: dict[str, None] = {}
    for entry in text.split(os.pathsep) if text else ():
        try:
            place = Path(entry).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            continue
        if place.is_relative_to(root):
            inside[place.relative_to(root).as_posix()] = None
        else:
            outside[entry] = None
    return PythonPath(tuple(inside), tuple(outside))
