"""Explains why a job does not find a file that the project has: it was not uploaded."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from renderer.bundle.pack import explain_left_out
from renderer.project.python_path import read_python_path
from renderer.project.root import is_private, show_folder

MAX_TEXT = 2**14  # characters of an error that are read
MAX_PATHS = 200  # that an error may name
MAX_SHOWN = 5
_SCRATCH = re.compile(r".*/renderer-[^/]+/")  # the worker's folder; the project is one to three folders below it
_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"|could not find (.+?) at either")
_MODULE = re.compile(r"No module named '([\w.]+)'")


def explain_missing_files(text: str, root: Path, file: Path, *, with_links: bool) -> str | None:
    """Return a sentence about files and modules named in ``text``, the error of a job, that were not uploaded.

    ``root`` is the folder that was uploaded, ``file`` the one that ran. Without ``with_links``, the job followed links
    that lead out of the root. Returns None if there is nothing to say. The text may come from a stranger: paths in it
    are only looked at.
    """
    root, found = root.resolve(), dict[str, str]()
    folders = dict.fromkeys([root, file.parent, *(root / inside for inside in read_python_path(root).inside)])
    for path in _find_paths(text[:MAX_TEXT]):
        for folder in folders:
            name = posixpath.relpath(posixpath.normpath(posixpath.join(folder.as_posix(), path)), root.as_posix())
            if reason := explain_left_out_file(root, name, with_links=with_links):
                found.setdefault(name, reason)
    named = [f"{name} was not uploaded: {reason}" for name, reason in found.items()]
    more = [f"{len(named) - MAX_SHOWN} more"] if len(named) > MAX_SHOWN else []
    return "; ".join([*named[:MAX_SHOWN], *more]) or None


def explain_left_out_file(root: Path, name: str, *, with_links: bool = True) -> str | None:
    """Return why a file of the project is not uploaded, and what to do; None if there is no such file, or if it is.

    ``name`` is relative to the root, with slashes. Without ``with_links``, the job follows links that lead out of it.
    """
    if not _exists(root / name):
        return None
    if name.startswith(".."):
        wider = Path(os.path.commonpath([root, os.path.normpath(root / name)]))
        return None if is_private(wider) else f"it lies outside of {show_folder(root)}; --root chooses a wider folder"
    if is_private(root):
        return f"{root} holds more than a project; move the project to a folder of its own"
    found = explain_left_out(root, name, with_links=with_links)
    if found and found.pattern:
        return f"{found.reason}; to include it, write {found.pattern} in {found.file}"
    return found.reason if found else None


def _find_paths(text: str) -> Iterator[str]:
    """Yield the relative paths that the text may name, each once."""
    words = [word.strip("'\"()[]{},:;") for word in text.split()]
    quoted = [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]
    for path in list(dict.fromkeys([*quoted, *words]))[:MAX_PATHS]:
        slashed = path.replace("\\", "/")
        if match := _SCRATCH.match(slashed):
            parts = slashed[match.end() :].split("/")
            yield from ("/".join(parts[count:]) for count in range(1, min(len(parts), 4)))
        elif slashed and not slashed.startswith("/") and "\0" not in slashed:
            yield slashed
    for module in _MODULE.findall(text)[:MAX_PATHS]:
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            yield from ("/".join(parts[:count]), "/".join(parts[:count]) + ".py")


def _exists(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):
        return False
