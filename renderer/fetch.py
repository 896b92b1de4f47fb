"""Downloads a job's outputs: verifies each file, then moves it to its final name."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends import Backend, JobHandle
from backends.errors import OutputError, ResultError
from backends.untrusted import Limits, OutputCounter, open_beneath, parse_result, read_bounded
from backends.worker_protocol import FILES, RESULT, Output, UnitResult
from renderer import output_folder, voice_store
from renderer.bundle.ignore import STAGING
from renderer.output_folder import Download, Kept

_log = logging.getLogger(__name__)


def check_writable(folder: Path) -> None:
    """Raise OutputError if the folder cannot be created or written to, or is where no output may go.

    Call it before a job starts.
    """
    output_folder.check_place(folder)
    try:
        with tempfile.TemporaryFile(dir=_existing_parent(folder)):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the output folder {folder}: {error.strerror}", hint="choose another with --output"
        ) from error


def download(backend: Backend[Any], handle: JobHandle, into: Path, *, overwrite: bool = False) -> list[Path]:
    """Download the job's outputs, verify each by size and sha256, then move them all into ``into``.

    The folder is created with its first file. A file that is not from an earlier job of the same scene is replaced only
    with ``overwrite``. Raises OutputError if a file is missing or damaged; then ``into`` is not changed. Raises
    OutputError also for a unit whose result is damaged, and for a file that was not replaced, but only after everything
    else is written; it names those files.
    """
    check_writable(into)
    units = [unit.name for unit in backend.status(handle).units]
    try:
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=_existing_parent(into)) as staging:
            folders = backend.fetch(handle, Path(staging))
            found, damaged = _verify_all(
                folders, units, OutputCounter(backend.limits), output_folder.find_source(str(handle))
            )
            voice_store.keep_voices(str(handle), found)
            written, kept = output_folder.write(found, into, overwrite=overwrite)
    except OSError as error:
        raise OutputError(
            f"cannot write the outputs to {into}: {error.strerror}", hint="choose another --output"
        ) from error
    if damaged:
        raise ResultError(str(damaged[0]), hint=damaged[0].hint, written=written) from damaged[0]
    if kept:
        raise _describe_kept(kept, handle, into, written)
    return written


def _describe_kept(kept: list[Kept], handle: JobHandle, into: Path, written: list[Path]) -> OutputError:
    first = kept[0]
    more = f", and {len(kept) - 1} more likewise" if len(kept) > 1 else ""
    return OutputError(
        f"{first.wanted} was not replaced, because this scene did not make it or it was changed since; the new file is "
        f"{first.written}{more}",
        hint=f"to replace it: renderer fetch {handle} --output {shlex.quote(str(into))} --overwrite",
        written=written,
    )


def _existing_parent(folder: Path) -> Path:
    """Return the folder or, if it does not exist, the nearest one above it. It is on the same disk as the folder."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))


def _verify_all(
    folders: list[Path], units: list[str], counter: OutputCounter, source: str
) -> tuple[list[Download], list[ResultError]]:
    """Return the verified files of all units, and the errors of units whose result.json or files are damaged."""
    found: list[Download] = []
    damaged: list[ResultError] = []
    for folder in folders:
        index = int(folder.name)
        try:
            result = _read_result(folder, units[index])
            found += [
                Download(
                    source=source, unit=units[index], index=index, name=output.path, sha256=output.sha256, path=path
                )
                for output, path in _verify(folder, result, counter)
            ]
        except ResultError as error:
            damaged.append(error)
    return found, damaged


def _read_result(folder: Path, unit: str) -> UnitResult | None:
    """Return the unit's result; None if it has not stored one."""
    try:
        with open_beneath(folder, RESULT) as file:
            return parse_result(read_bounded(file, Limits().result), unit=unit)
    except FileNotFoundError:
        return None
    except OutputError as error:  # also a link, or too large
        raise ResultError(str(error), hint=error.hint) from error


def _verify(folder: Path, result: UnitResult | None, counter: OutputCounter) -> Iterator[tuple[Output, Path]]:
    """Yield every output that result.json lists, and its path. Raises ResultError for a missing or damaged file."""
    for output in result.outputs if result else ():
        counter.add(output.size)
        if not _is_whole(folder / FILES, output):
            raise ResultError(f"{output.path} was damaged during the download", hint="run `renderer fetch` again")
        _log.debug("%s is verified: %d bytes, sha256 %s", output.path, output.size, output.sha256)
        yield output, folder / FILES / output.path


def _is_whole(files: Path, output: Output) -> bool:
    """Return whether the file has the size and the sha256 of the result. Set its mode to that of a plain file."""
    try:
        with open_beneath(files, output.path) as file:
            info = os.fstat(file.fileno())
            os.fchmod(file.fileno(), info.st_mode & 0o666)
            return info.st_size == output.size and hashlib.file_digest(file, "sha256").hexdigest() == output.sha256
    except (FileNotFoundError, OutputError):
        return False
