"""Downloads a job's outputs: verifies each file, then moves it to its final name."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from backends import Backend, JobHandle
from backends.errors import InputError, OutputError
from backends.files import sha256
from backends.worker_protocol import FILES, RESULT, UnitResult
from renderer.bundle.ignore import OWN_IGNORE_FILE, STAGING

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Download:
    """A verified file: ``path`` is where it is now, ``name`` its path in the output folder."""

    unit: str
    name: str
    path: Path


def check_writable(folder: Path) -> None:
    """Raise OutputError if the folder cannot be made or written to. Called before a job starts."""
    try:
        with tempfile.TemporaryFile(dir=_existing_parent(folder)):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the output folder {folder}: {error.strerror}", hint="choose another with --output"
        ) from error


def download(backend: Backend[Any], handle: JobHandle, into: Path) -> list[Path]:
    """Download the job's outputs, verify each by size and sha256, then move them all into ``into``.

    The folder is made with its first file. Raises OutputError when a file is missing or damaged; then ``into`` is as it
    was before.
    """
    check_writable(into)
    try:
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=_existing_parent(into)) as staging:
            folders = backend.fetch(handle, Path(staging))
            found = [item for folder in folders for item in _verify(folder)]
            return _move(found, into)
    except OSError as error:
        raise OutputError(
            f"cannot write the outputs to {into}: {error.strerror}", hint="choose another --output"
        ) from error


def _existing_parent(folder: Path) -> Path:
    """Return the folder, or the nearest existing one above it: files can be moved from there, on the same disk."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))


def _verify(folder: Path) -> Iterator[_Download]:
    """Yield every output that the unit's result.json lists. Raises OutputError for one that differs."""
    try:
        result = UnitResult.read(folder / RESULT)
    except InputError as error:
        raise OutputError(str(error), hint="fetch again") from error
    if result is None:
        return
    for output in result.outputs:
        path = folder / FILES / _safe(output.path)
        if not path.is_file() or path.stat().st_size != output.size or sha256(path) != output.sha256:
            raise OutputError(f"{output.path} was damaged on its way here", hint="fetch again")
        _log.debug("%s is verified: %d bytes, sha256 %s", output.path, output.size, output.sha256)
        yield _Download(result.unit, output.path, path)


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise OutputError(f"the job names an output outside its folder: {name!r}")
    return path


def _move(found: list[_Download], into: Path) -> list[Path]:
    """Move the files to their names in ``into`` and return their paths."""
    moved: list[Path] = []
    if found and not into.is_dir():
        into.mkdir(parents=True, exist_ok=True)  # another fetch may make it at the same time
        (into / OWN_IGNORE_FILE).write_text("*\n")  # the next job's bundle leaves out what was rendered here
    for item in found:
        target = into / item.name
        if target in moved:  # two units made a file of the same name
            target = into / item.unit / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        item.path.replace(target)
        moved.append(target)
    return moved
