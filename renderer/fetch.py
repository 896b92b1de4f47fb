"""Downloads a job's outputs: verifies each file, then moves it to its final name."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends import Backend, JobHandle, JobStatus
from backends.errors import DiskError, OutputError, ResultError
from backends.untrusted import Limits, OutputCounter, open_beneath, parse_result, read_bounded
from backends.worker_protocol import FILES, RESULT, Output, UnitResult
from renderer import output_folder, voice_store
from renderer.bundle.ignore import STAGING
from renderer.maps.inputs import MapInput
from renderer.maps.results import MapResult, find_inputs, make_result, write_rows
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
        raise DiskError("the outputs", folder, error, hint="choose another --output") from error


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a download wrote: its ``files``, and for a map how each input ended.

    ``kept`` are files of the user that were not replaced, ``damaged`` the errors of units whose result is damaged.
    ``units`` are the results that are not.
    """

    files: list[Path]
    results: list[MapResult]
    kept: list[Kept]
    damaged: list[ResultError]
    units: Collection[UnitResult] = ()

    def require_whole(self, handle: JobHandle, into: Path) -> None:
        """Raise OutputError for a unit whose result is damaged, and for a file that was not replaced."""
        if self.damaged:
            first = self.damaged[0]
            raise ResultError(str(first), hint=first.hint, written=self.files) from first
        if self.kept:
            raise _describe_kept(self.kept, handle, into, self.files)


def download(
    backend: Backend[Any],
    handle: JobHandle,
    into: Path,
    *,
    overwrite: bool = False,
    inputs: Sequence[MapInput] = (),
    earlier: Collection[str] = (),
    on_results: Callable[[Collection[UnitResult]], object] | None = None,
) -> list[Path]:
    """Download the job's outputs, verify each by size and sha256, then move them all into ``into``.

    The folder is created with its first file. A file that is not from an earlier job of the same scene is replaced only
    with ``overwrite``. Raises OutputError if a file is missing or damaged; then ``into`` is not changed. Raises
    OutputError also for a unit whose result is damaged, and for a file that was not replaced, but only after everything
    else is written; it names those files.

    The files of a map go to folders with the names of its inputs, and results.jsonl is written; it keeps the lines of
    ``earlier`` jobs for other inputs. ``inputs`` are known if the map was submitted on this machine.

    ``on_results`` gets what the units say about themselves.
    """
    status = backend.status(handle)
    fetched = download_units(backend, status, into, overwrite=overwrite, inputs=inputs)
    if on_results:
        on_results(fetched.units)
    if fetched.results:
        table = write_table(fetched.results, into, overwrite=overwrite, earlier=earlier)
        fetched = replace(fetched, files=fetched.files + table.files, kept=fetched.kept + table.kept)
    fetched.require_whole(handle, into)
    return fetched.files


def download_units(
    backend: Backend[Any],
    status: JobStatus,
    into: Path,
    *,
    overwrite: bool = False,
    inputs: Sequence[MapInput] = (),
    units: Collection[int] | None = None,
) -> Fetched:
    """Download the outputs of some units, by default of all, and verify them. Raises OutputError as ``download``."""
    wanted = range(len(status.units)) if units is None else units
    empty = backend.read_empty(status.handle, wanted)
    with staging(into) as folder:
        folders = backend.fetch(
            status.handle, folder, [unit for unit in wanted if unit not in empty] if empty else units
        )
        source = output_folder.find_source(str(status.handle))
        found, results, damaged = _verify_all(folders, status, OutputCounter(backend.limits), source)
        results |= empty
        voice_store.keep_voices(str(status.handle), found)
        items = find_inputs(inputs, status, results)
        found = [replace(item, own_folder=items[item.index].label if items else None) for item in found]
        written, kept = output_folder.write(found, into, overwrite=overwrite)
    files: dict[int, list[Path]] = defaultdict(list)
    for item, path in zip(found, written, strict=True):
        files[item.index].append(path)
    ended = [
        make_result(item, status.units[unit], results.get(unit), files[unit], str(status.handle))
        for unit, item in items.items()
        if units is None or unit in units
    ]
    return Fetched(files=written, results=ended, kept=kept, damaged=damaged, units=results.values())


def write_table(
    results: Iterable[MapResult], into: Path, *, overwrite: bool = False, earlier: Collection[str] = ()
) -> Fetched:
    """Write results.jsonl, which has a line for each result. Raises OutputError."""
    with staging(into) as folder:
        table = write_rows(results, into, folder, earlier=earlier)
        written, kept = output_folder.write([table], into, overwrite=overwrite)
    return Fetched(files=written, results=[], kept=kept, damaged=[])


@contextmanager
def staging(into: Path) -> Iterator[Path]:
    """Yield an empty folder on the disk of ``into``, which is removed after the block. Raises OutputError."""
    check_writable(into)
    try:
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=_existing_parent(into)) as folder:
            yield Path(folder)
    except OSError as error:
        raise DiskError("the outputs", into, error, hint="choose another --output") from error


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
    folders: list[Path], status: JobStatus, counter: OutputCounter, source: str
) -> tuple[list[Download], dict[int, UnitResult], list[ResultError]]:
    """Return the verified files of all units, and the results of units that stored one, by index.

    Also return the errors of units whose result.json or files are damaged.
    """
    found: list[Download] = []
    results: dict[int, UnitResult] = {}
    damaged: list[ResultError] = []
    for folder in folders:
        index = int(folder.name)
        try:
            unit = status.units[index].name
            result = read_result(folder, unit)
            found += [
                Download(source=source, unit=unit, index=index, name=output.path, sha256=output.sha256, path=path)
                for output, path in _verify(folder, result, counter, status.handle)
            ]
            results |= {index: result} if result else {}
        except ResultError as error:
            damaged.append(error)
    return found, results, damaged


def read_result(folder: Path, unit: str) -> UnitResult | None:
    """Return the unit's result; None if it has not stored one."""
    try:
        with open_beneath(folder, RESULT) as file:
            return parse_result(read_bounded(file, Limits().result), unit=unit)
    except FileNotFoundError:
        return None
    except OutputError as error:  # also a link, or too large
        raise ResultError(str(error), hint=error.hint) from error


def _verify(
    folder: Path, result: UnitResult | None, counter: OutputCounter, handle: JobHandle
) -> Iterator[tuple[Output, Path]]:
    """Yield every output that result.json lists, and its path. Raises ResultError for a missing or damaged file."""
    for output in result.outputs if result else ():
        counter.add(output.size)
        if not _is_whole(folder / FILES, output):
            hint = f"download it again: renderer fetch {handle}"
            raise ResultError(f"{output.path} was damaged during the download", hint=hint)
        _log.debug("%s is verified: %d bytes, sha256 %s", output.path, output.size, output.sha256)
        yield output, folder / FILES / output.path


def _is_whole(files: Path, output: Output) -> bool:
    """Return whether the file has the size and the sha256 of the result. Set its mode to that of a plain file."""
    try:
        with open_beneath(files, output.path) as file:
            info = os.fstat(file.fileno())
            if sys.platform != "win32":
                os.fchmod(file.fileno(), info.st_mode & 0o666)
            return info.st_size == output.size and hashlib.file_digest(file, "sha256").hexdigest() == output.sha256
    except (FileNotFoundError, OutputError):
        return False
