"""Moves files to and from the Modal volumes. Each job has a folder of its own on both, with the same random name.

renderer-inputs, which no job can write to:
  inputs/FOLDER/task.json, bundle.tar.gz, renderer-worker  the payload of the worker, the bundle, the worker
  inputs/FOLDER/withdrawn                  the job must not run: submit got no answer, or shards are cancelled
  inputs/FOLDER/calls.json                 the calls that a job in shards has made
  calls/CALL/FOLDER.json                   the call's record, for other machines
renderer, of which a job sees its folder alone:
  jobs/FOLDER/INDEX/                       log.txt, result.json and files/ of each unit
  jobs/FOLDER/attempts/INDEX               one byte for each attempt
  jobs/FOLDER/ended/INDEX                  exists once an attempt has ended
  jobs/FOLDER/failed/INDEX                 exists once a unit has failed for good
  jobs/FOLDER/shards/                      what shards exchange; INDEX is then that of a shard, or "join"

Older versions kept everything on ``renderer``, in inputs/, withdrawn/ and jobs/CALL/, which is still read.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from backends.errors import OutputError, TransientError
from backends.modal.session import Session
from backends.untrusted import Limits, OutputCounter, check_relative_name, create_beneath

if TYPE_CHECKING:
    from modal import Volume
    from modal.types import FileEntry

CONCURRENT_DOWNLOADS = 8
LIST_TIMEOUT_S = 60.0  # a folder may hold many files
TRANSFER_TIMEOUT_S = 120.0  # plus the time that the slowest line needs for the bytes
SLOWEST_BYTES_PER_S = 50_000
MAX_RECORD = 4 * 2**20  # bytes of a small file


class Files:
    """The files on one volume of a Modal environment. ``limits`` bound what is listed and downloaded."""

    def __init__(self, session: Session, environment: str | None, name: str, limits: Limits | None = None) -> None:
        self.session = session
        self.environment = environment
        self.name = name
        self.limits = limits or Limits()

    def ensure_volume(self) -> Volume:
        """Return the volume; create it if it is missing."""
        volume = self._volume(create=True)
        self.session.call(volume.hydrate)
        return volume

    def exists(self) -> bool:
        """Return whether the volume exists."""
        volume = self._volume()

        def hydrate() -> bool:
            try:
                volume.hydrate()
            except self.session.modal.exception.NotFoundError:
                return False
            return True

        return self.session.call(hydrate)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Upload files. Content that Modal has already, under any name, is not sent again."""
        volume = self._volume()

        def upload() -> None:
            with volume.batch_upload(force=True) as batch:
                for path, data in files.items():
                    batch.put_file(io.BytesIO(data), path)

        size = sum(map(len, files.values()))
        self._transfer(upload, size, "the inputs could not be uploaded to Modal")

    def read(self, path: str, *, limit: int = MAX_RECORD) -> bytes | None:
        """Return a small file; None if it does not exist. Raises OutputError if it has more than ``limit`` bytes."""
        content = self.read_start(path, limit=limit + 1)
        if content is not None and len(content) > limit:
            raise OutputError(f"a file of the job at Modal has more than {limit} bytes where less was expected")
        return content

    def read_start(self, path: str, *, limit: int) -> bytes | None:
        """Return the first bytes of a file, at most ``limit``; None if it does not exist."""
        volume = self._volume()

        def read() -> bytes | None:
            content = bytearray()
            try:
                for chunk in volume.read_file(path):
                    content += chunk[: limit - len(content)]
                    if len(content) >= limit:
                        break
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return None
            return bytes(content)

        return self.session.call(read)

    def list(self, folder: str, *, recursive: bool = True) -> list[FileEntry]:
        """Return the entries below a folder, but not more than a job may have; an empty list if it does not exist."""
        volume = self._volume()
        most = 3 * self.limits.files + 1000  # a unit stores a log, a result and at least one output

        def list_files() -> list[FileEntry]:
            found: list[FileEntry] = []
            try:
                for entry in volume.iterdir(folder, recursive=recursive):
                    found.append(entry)
                    if len(found) >= most:
                        break
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return []
            return found

        return self.session.call(list_files, seconds=LIST_TIMEOUT_S)

    def download_units(self, folder: str, units: Iterable[int], into: Path) -> None:
        """Download what the ``units`` stored to ``into/INDEX/``. Raises OutputError for a wrong name or too much."""
        volume, counter = self._volume(), OutputCounter(self.limits, into)
        wanted = {str(index) for index in units}
        entries: dict[str, FileEntry] = {}
        for entry in self.list(folder):
            name = entry.path.strip("/").removeprefix(f"{folder}/")
            if entry.type.name == "FILE" and name.partition("/")[0] in wanted:
                entries[str(check_relative_name(name))] = entry
                counter.add(entry.size)
        stopped = threading.Event()

        def download(name: str) -> None:
            if stopped.is_set():
                return
            with create_beneath(into, name) as stream:
                writer = cast("IO[bytes]", _BoundedWriter(stream, entries[name].size))
                volume.read_file_into_fileobj(entries[name].path, writer)

        def download_all() -> None:
            with ThreadPoolExecutor(CONCURRENT_DOWNLOADS) as pool:
                for _ in pool.map(download, entries):
                    pass

        try:
            self._transfer(download_all, counter.total, "the outputs could not be downloaded from Modal")
        finally:
            stopped.set()

    def remove(self, path: str) -> None:
        """Remove a file or a folder, if there is one."""
        volume = self._volume()

        def remove() -> None:
            try:
                volume.remove_file(path, recursive=True)
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return

        self.session.call(remove)

    def _volume(self, *, create: bool = False) -> Volume:
        volume: Volume = self.session.modal.Volume.from_name(
            self.name, environment_name=self.environment, create_if_missing=create, version=2
        )
        return volume

    def _transfer(self, action: Callable[[], None], size: int, sentence: str) -> None:
        """Call ``action``, which moves ``size`` bytes, with a time limit for a slow line. Raises TransientError."""
        try:
            self.session.call(action, seconds=TRANSFER_TIMEOUT_S + size / SLOWEST_BYTES_PER_S)
        except (OSError, RuntimeError, TimeoutError) as error:
            raise TransientError(f"{sentence}: {error}", hint="try again") from error


class _BoundedWriter:
    """A file that takes no more bytes than were announced: the job may still write while its output is downloaded."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._size:
            raise OutputError("an output of the job grew while it was downloaded", hint="fetch it when the job is done")
        return self._file.write(data)
