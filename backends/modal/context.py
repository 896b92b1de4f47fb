"""The files that the image is built from, put together in one folder, and a hash of all that is deployed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from backends.errors import SpecError
from backends.modal.request import CPU, MEMORY_MIB, MOUNT, TIMEOUT_S, Deployment
from backends.resources import data_dir

RENDER_FUNCTION = Path(__file__).with_name("render_function.py")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "_data", "*.pyc")


def sources() -> dict[str, Path]:
    """Give the folders of the context by the names that the Dockerfile copies."""
    found = importlib.util.find_spec("renderer")
    places = list(found.submodule_search_locations or ()) if found else []
    return {"backends": Path(__file__).parents[1], "renderer": Path(places[0]), "docker": data_dir("docker")}


def assemble(into: Path) -> Path:
    """Copy the context; give its Dockerfile."""
    for name, folder in sources().items():
        shutil.copytree(folder, into / name, ignore=_LEFT_OUT)
    return into / "docker" / "Dockerfile"


def content_hash(deployment: Deployment) -> str:
    """Tell one deployment from another by everything that goes into it."""
    digest = hashlib.sha256(json.dumps(asdict(deployment)).encode())
    digest.update(repr((CPU, MEMORY_MIB, MOUNT, TIMEOUT_S)).encode())
    digest.update(RENDER_FUNCTION.read_bytes())
    if deployment.recipe.requirements:
        digest.update(_requirements(Path(deployment.recipe.requirements)))
    for name, path in _files():
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _files() -> Iterator[tuple[str, Path]]:
    for name, folder in sources().items():
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and "__pycache__" not in parts and parts[0] != "_data":
                yield "/".join((name, *parts)), path


def _requirements(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"cannot read {path}: {error.strerror}", hint="it is named by [modal] requirements") from error
