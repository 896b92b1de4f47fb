"""The volume ``renderer``: inputs by content, outputs by call.

inputs/SHA256.json      tasks
inputs/SHA256.tar.zst   bundles
jobs/CALL/job.json      the record, for other machines
jobs/CALL/INDEX/        log.txt, result.json and files/ of each unit
jobs/CALL/tries/INDEX   one byte for each try
jobs/CALL/ended/INDEX   there once a try has ended
withdrawn/TICKET        there when nobody knows whether Modal took the job of that ticket: it shall not run
"""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from backends.errors import OutputError, TransientError
from backends.modal.request import VOLUME
from backends.modal.session import Session

SIDE_BY_SIDE = 8
FRESH_S = 7 * 86400.0  # well below the age at which ``renderer gc`` removes inputs
LIST_S = 60.0  # a volume may hold many files
TRANSFER_S = 120.0
SLOWEST = 50_000  # bytes a second


class Files:
    """Moves files to and from the volume."""

    def __init__(self, session: Session, environment: str | None) -> None:
        self.session = session
        self.environment = environment

    def ensure(self) -> Any:
        """Give the volume, made when it is missing."""
        volume = self._volume(create=True)
        self.session.call(volume.hydrate)
        return volume

    def find(self) -> str | None:
        """Give the volume's id; None where it is missing."""
        volume = self._volume()

        def look() -> str | None:
            try:
                volume.hydrate()
            except self.session.modal.exception.NotFoundError:
                return None
            return str(volume.object_id)

        return self.session.call(look)

    def put_missing(self, volume: Any, files: Mapping[str, bytes]) -> None:
        """Upload what is not there, or so old that ``renderer gc`` may take it. A file is there whole or not at all."""
        found = self.session.call(lambda: asyncio.run(self._find_each(volume, files)))
        missing = {path: data for path, data in files.items() if found[path] != len(data)}
        if missing:
            size = sum(map(len, missing.values()))
            self._transfer(lambda: _upload(volume, missing), size, "the inputs could not be sent to Modal")

    def withdraw(self, ticket: str) -> None:
        """Keep the job of that ticket from running, should Modal have taken it."""
        self.session.call(lambda: _upload(self._volume(), {f"withdrawn/{ticket}": b"withdrawn"}))

    def read(self, path: str) -> bytes | None:
        """Give a small file; None where there is none."""
        volume = self._volume()

        def read() -> bytes | None:
            try:
                return b"".join(volume.read_file(path))
            except FileNotFoundError:
                return None
            except self.session.modal.exception.NotFoundError:
                return None

        return self.session.call(read)

    def list(self, folder: str) -> list[Any]:
        """Give the entries of all files below a folder; none where it does not exist."""
        volume = self._volume()

        def entries() -> list[Any]:
            try:
                return [entry for entry in volume.listdir(folder, recursive=True) if entry.type.name == "FILE"]
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return []

        return self.session.call(entries, seconds=LIST_S)

    def get_units(self, call: str, into: Path) -> None:
        """Copy what the units of a call stored into ``into/INDEX/``."""
        volume, folder = self._volume(), f"jobs/{call}"
        entries = [entry for entry in self.list(folder) if entry.path.strip("/").split("/")[2].isdecimal()]

        stopped = threading.Event()

        def copy(entry: Any) -> None:
            if stopped.is_set():
                return
            relative = PurePosixPath(entry.path.lstrip("/")).relative_to(folder)
            if ".." in relative.parts:
                raise OutputError(f"the volume names a file outside its folder: {entry.path!r}")
            target = into / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                volume.read_file_into_fileobj(entry.path, stream)

        def copy_all() -> None:
            with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                list(pool.map(copy, entries))

        try:
            size = sum(entry.size for entry in entries)
            self._transfer(copy_all, size, "the outputs could not be brought from Modal")
        finally:
            stopped.set()

    def remove(self, path: str) -> None:
        """Remove a file or a folder; nothing happens where there is none."""
        volume = self._volume()

        def remove() -> None:
            try:
                volume.remove_file(path, recursive=True)
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return

        self.session.call(remove)

    def _volume(self, *, create: bool = False) -> Any:
        return self.session.modal.Volume.from_name(
            VOLUME, environment_name=self.environment, create_if_missing=create, version=2
        )

    async def _find_each(self, volume: Any, paths: Iterable[str]) -> dict[str, int | None]:
        """Give the size of each file, None where it is not there or old."""

        async def size(path: str) -> int | None:
            try:
                entries = await volume.listdir.aio(path)
            except (FileNotFoundError, self.session.modal.exception.NotFoundError):
                return None
            fresh = entries and time.time() - entries[0].mtime < FRESH_S
            return entries[0].size if fresh else None

        wanted = list(paths)
        return dict(zip(wanted, await asyncio.gather(*map(size, wanted)), strict=True))

    def _transfer(self, action: Callable[[], None], size: int, sentence: str) -> None:
        """Move ``size`` bytes, in a time that even a slow line keeps."""
        try:
            self.session.call(action, seconds=TRANSFER_S + size / SLOWEST)
        except (OSError, RuntimeError, TimeoutError) as error:
            raise TransientError(f"{sentence}: {error}", hint="try again") from error


def _upload(volume: Any, files: Mapping[str, bytes]) -> None:
    with volume.batch_upload(force=True) as batch:
        for path, data in files.items():
            batch.put_file(io.BytesIO(data), path)
