"""Moves files to and from the Modal volume ``renderer``: inputs by content, outputs by call.

inputs/SHA256.json        payloads of the worker
inputs/SHA256.tar.zst     bundles
jobs/CALL/job.json        the call's record, for other machines
jobs/CALL/INDEX/          log.txt, result.json and files/ of each unit
jobs/CALL/attempts/INDEX  one byte for each attempt
jobs/CALL/ended/INDEX     exists once an attempt has ended
withdrawn/TICKET          exists when submit got no answer: a job with that ticket must not run
"""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from backends.errors import OutputError, TransientError
from backends.modal.request import VOLUME
from backends.modal.session import Session

if TYPE_CHECKING:
    from modal import Volume
    from modal.types import FileEntry

CONCURRENT_DOWNLOADS = 8
FRESH_S = 7 * 86400.0  # well below the age at which ``renderer gc`` removes inputs
LIST_TIMEOUT_S = 60.0  # a volume may hold many files
TRANSFER_TIMEOUT_S = 120.0  # plus the time that the slowest line needs for the bytes
SLOWEST_BYTES_PER_S = 50_000


class Files:
    """The files on the volume of one Modal environment."""

    def __init__(self, session: Session, environment: str | None) -> None:
        self.session = session
        self.environment = environment

    def ensure_volume(self) -> Volume:
        """Return the volume; create it if it is missing."""
        volume = self._volume(create=True)
        self.session.call(volume.hydrate)
        return volume

    def find_volume_id(self) -> str | None:
        """Return the volume's id; None if the volume does not exist."""
        volume = self._volume()

        def hydrate() -> str | None:
            try:
                volume.hydrate()
            except self.session.modal.exception.NotFoundError:
                return None
            return str(volume.object_id)

        return self.session.call(hydrate)

    def put_missing(self, volume: Volume, files: Mapping[str, bytes]) -> None:
        """Upload the files that are missing, or so old that ``renderer gc`` may remove them soon.

        Other machines never see an incomplete file.
        """
        sizes = self.session.call(lambda: asyncio.run(self._fetch_sizes(volume, files)))
        missing = {path: data for path, data in files.items() if sizes[path] != len(data)}
        if missing:
            size = sum(map(len, missing.values()))
            self._transfer(lambda: _upload(volume, missing), size, "the inputs could not be uploaded to Modal")

    def withdraw(self, ticket: str) -> None:
        """Withdraw the ticket: the job that has it ends as soon as it starts, if Modal has received it at all."""
        self.session.call(lambda: _upload(self._volume(), {f"withdrawn/{ticket}": b"withdrawn"}))

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None if it does not exist."""
        volume = self._volume()

        def read() -> bytes | None:
            try:
                return b"".join(volume.read_file(path))
            except FileNotFoundError:
                return None
            except self.session.modal.exception.NotFoundError:
                return None

        return self.session.call(read)

    def list(self, folder: str) -> list[FileEntry]:
        """Return the entries of all files below a folder; an empty list if it does not exist."""
        volume = self._volume()

        def list_files() -> list[FileEntry]:
            try:
                return [entry for entry in volume.listdir(folder, recursive=True) if entry.type.name == "FILE"]
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return []

        return self.session.call(list_files, seconds=LIST_TIMEOUT_S)

    def download_units(self, call: str, into: Path) -> None:
        """Download what the units of a call stored, to ``into/INDEX/``."""
        volume, folder = self._volume(), f"jobs/{call}"
        entries = [entry for entry in self.list(folder) if entry.path.strip("/").split("/")[2].isdecimal()]
        stopped = threading.Event()

        def download(entry: FileEntry) -> None:
            if stopped.is_set():
                return
            relative = PurePosixPath(entry.path.lstrip("/")).relative_to(folder)
            if ".." in relative.parts:
                raise OutputError(f"the volume names a file outside its folder: {entry.path!r}")
            target = into / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                volume.read_file_into_fileobj(entry.path, stream)

        def download_all() -> None:
            with ThreadPoolExecutor(CONCURRENT_DOWNLOADS) as pool:
                for _ in pool.map(download, entries):
                    pass

        try:
            size = sum(entry.size for entry in entries)
            self._transfer(download_all, size, "the outputs could not be downloaded from Modal")
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
            VOLUME, environment_name=self.environment, create_if_missing=create, version=2
        )
        return volume

    async def _fetch_sizes(self, volume: Volume, paths: Iterable[str]) -> dict[str, int | None]:
        """Return the size of each file; None if it is missing, or so old that it must be uploaded again."""

        async def fetch_size(path: str) -> int | None:
            try:
                entries = await volume.listdir.aio(path)
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return None
            fresh = entries and time.time() - entries[0].mtime < FRESH_S
            return entries[0].size if fresh else None

        wanted = list(paths)
        return dict(zip(wanted, await asyncio.gather(*map(fetch_size, wanted)), strict=True))

    def _transfer(self, action: Callable[[], None], size: int, sentence: str) -> None:
        """Call ``action``, which moves ``size`` bytes, with a time limit for a slow line. Raises TransientError."""
        try:
            self.session.call(action, seconds=TRANSFER_TIMEOUT_S + size / SLOWEST_BYTES_PER_S)
        except (OSError, RuntimeError, TimeoutError) as error:
            raise TransientError(f"{sentence}: {error}", hint="try again") from error


def _upload(volume: Volume, files: Mapping[str, bytes]) -> None:
    with volume.batch_upload(force=True) as batch:
        for path, data in files.items():
            batch.put_file(io.BytesIO(data), path)
