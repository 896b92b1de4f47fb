"""Makes the folder (build context) that docker/Dockerfile is built from, from a checkout or an installed wheel."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from backends.files import data_dir, sha256

DOCKERFILE = Path("docker/Dockerfile")  # relative to the build context
EXTRA = Path("docker/extra-requirements.txt")
PACKAGES = ("backends", "renderer")
DATA = ("docker", "k8s")  # what renderer itself needs, when it submits jobs from within the image
_PACKAGES_FOLDER = Path(__file__).parents[2]
_IGNORED = shutil.ignore_patterns("__pycache__", "_data", "*.pyc")


def copy_context(folder: Path, extra: Iterable[str] = ()) -> None:
    """Copy docker/, k8s/ and both Python packages into the empty ``folder``.

    ``extra`` are lines of a requirements file.

    All files get the same times and modes on every machine, so that builders can use their cached layers.
    """
    for name in DATA:
        shutil.copytree(data_dir(name), folder / name, ignore=_IGNORED)
    for package in PACKAGES:
        shutil.copytree(_PACKAGES_FOLDER / package, folder / package, ignore=_IGNORED)
    if lines := list(extra):
        (folder / EXTRA).write_text("\n".join(lines) + "\n", "utf-8")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (0, 0))


def hash_sources(extra: Iterable[str] = ()) -> str:
    """Return a hash of everything that ``copy_context`` would copy. Does not copy, because every Modal job needs it."""
    found = hashlib.sha256("\n".join(extra).encode())
    packages = {name: _PACKAGES_FOLDER / name for name in PACKAGES}
    for name, folder in {**{name: data_dir(name) for name in DATA}, **packages}.items():
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if not _IGNORED("", list(parts)) and path.is_file():
                found.update(_describe_file(f"{name}/{'/'.join(parts)}", path))
    return found.hexdigest()


def build_arguments() -> dict[str, str]:
    """Return the build arguments that every build of the folder needs."""
    return {"VERSION": version("manim-renderer")}


def hash_context(folder: Path, arguments: Mapping[str, str]) -> str:
    """Return 12 hexadecimal digits that identify the content of the folder and the build arguments."""
    found = hashlib.sha256(repr(sorted(arguments.items())).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(_describe_file(path.relative_to(folder).as_posix(), path))
    return found.hexdigest()[:12]


def _describe_file(name: str, path: Path) -> bytes:
    """Return the name and the hash of a file, as a part of the hash of many files."""
    return f"{name}\0{sha256(path)}\n".encode()
