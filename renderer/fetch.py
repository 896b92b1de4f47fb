"""Brings a job's outputs to their final names, once each has been verified."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from backends import Backend, JobHandle
from backends.errors import InputError, OutputError
from backends.files import sha256
from backends.worker_protocol import FILES, RESULT, UnitResult
from renderer.bundle.ignore import STAGING

IGNORE = ".rendererignore"


def check_writable(folder: Path) -> None:
    """Write to the folder, or to where it will be made. Raises OutputError before any work is done for nothing."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the output folder {folder}: {error.strerror}", hint="choose another with --output"
        ) from error


def collect(backend: Backend[Any], handle: JobHandle, into: Path) -> list[Path]:
    """Fetch what the job made, verify every file by size and sha256, then move it to its name in ``into``.

    The folder is made for the first file. Raises OutputError when a file is missing or differs; files of that name that
    were there are then untouched.
    """
    check_writable(into)
    try:
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=_existing(into)) as staging:
            folders = backend.fetch(handle, Path(staging))
            found = [item for folder in folders for item in _verified(folder)]
            return _move(found, into)
    except OSError as error:
        raise OutputError(
            f"cannot write the outputs to {into}: {error.strerror}", hint="choose another --output"
        ) from error


def _existing(folder: Path) -> Path:
    """Give the folder, or the nearest one above it that is there: on the same disk, so that files can be moved."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))


def _verified(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield unit, name and place of every output that result.json promises."""
    try:
        result = UnitResult.read(folder / RESULT)
    except InputError as error:
        raise OutputError(str(error), hint="fetch again") from error
    for output in result.outputs if result else ():
        path = folder / FILES / _safe(output.path)
        if not path.is_file() or path.stat().st_size != output.size or sha256(path) != output.sha256:
            raise OutputError(f"{output.path} did not arrive as it was made", hint="fetch again")
        yield (result.unit if result else "", output.path, path)


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise OutputError(f"the job names an output outside its folder: {name!r}")
    return path


def _move(found: list[tuple[str, str, Path]], into: Path) -> list[Path]:
    moved: list[Path] = []
    if found and not into.is_dir():
        into.mkdir(parents=True, exist_ok=True)  # another fetch may be making it
        (into / IGNORE).write_text("*\n")  # what is rendered here is no input of the next job
    for unit, name, path in found:
        target = into / name
        if target in moved:  # two units made a file of the same name
            target = into / unit / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        moved.append(target)
    return moved
