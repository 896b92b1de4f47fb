"""Where chunks lie: a folder of this machine or of a PVC, or an object store. Names are relative, with slashes.

Whoever reads a chunk verifies it by its digest: what is in a store is data that others may have written.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from backends.errors import OutputError
from backends.storage import Storage, translate_error
from backends.untrusted import check_relative_name

SHARDS = "shards"  # the folder in which the shards of a job exchange clips, beside those of their outputs
MAX_CHUNK_BYTES = 2**30
_NEW = ".new-"  # how the names of unfinished files begin


class ChunkStore(Protocol):
    """Keeps files that are written once. All methods raise RendererError if the store cannot be reached or written."""

    def get(self, name: str, target: Path) -> bool:
        """Copy the whole file to ``target``; return False, and leave nothing there, if the store does not have it."""

    def create(self, name: str, source: Path) -> bool:
        """Store the whole file unless there is one of this name; return whether this call stored it.

        Of several processes that try at once, one succeeds. If the connection breaks, the answer may be False although
        this call stored the file.
        """

    def list(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, in order."""


class FolderChunks:
    """A folder of this machine, or of a PVC that many nodes mount. Uses the standard library alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, target: Path) -> bool:
        """Copy the file, unless it is missing or too large for a chunk."""
        with self._translating_errors():
            try:
                source = self._path(name).open("rb")
            except FileNotFoundError:
                return False
            with source:
                if os.fstat(source.fileno()).st_size > MAX_CHUNK_BYTES:
                    return False
                with _writing_whole(target) as partial, partial.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
        return True

    def create(self, name: str, source: Path) -> bool:
        """Copy the file under another name, and link it to its own: that fails if there is one."""
        target = self._path(name)
        partial = target.with_name(f"{_NEW}{secrets.token_hex(8)}")
        with self._translating_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, partial)
                os.link(partial, target)
            except FileExistsError:
                return False
            finally:
                partial.unlink(missing_ok=True)
        return True

    def list(self, folder: str) -> list[str]:
        """Return the names of finished files."""
        top = self._path(folder)
        with self._translating_errors():
            found = [path for path in top.rglob("*") if path.is_file() and not path.name.startswith(_NEW)]
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def _path(self, name: str) -> Path:
        return self.folder / check_relative_name(name)

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise translate_error(error, f"file://{self.folder}") from error


class CommittedChunks(FolderChunks):
    """A folder of which each process sees its own files, and later ones see all: a Modal volume.

    So a file cannot be created by one process alone, and two that have the same name have the same content.
    """

    def create(self, name: str, source: Path) -> bool:
        """Copy the file, unless this process can see one of the name."""
        target = self._path(name)
        with self._translating_errors():
            if target.exists():
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            with _writing_whole(target) as partial:
                shutil.copyfile(source, partial)
        return True


class StoredChunks:
    """A folder of an object store (s3://, gs://), by conditional puts."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, name: str, target: Path) -> bool:
        """Download the file, unless it is missing or too large for a chunk."""
        size = self._storage.size(name)
        if size is None or size > MAX_CHUNK_BYTES:
            return False
        try:
            with _writing_whole(target) as partial:
                self._storage.get(name, partial)
        except OutputError:  # removed in the meantime
            return False
        return True

    def create(self, name: str, source: Path) -> bool:
        """Upload the file if there is none of this name."""
        return self._storage.create(name, source)

    def list(self, folder: str) -> list[str]:
        """Return the names of all files below a folder."""
        return sorted(self._storage.list(folder))


@contextmanager
def _writing_whole(target: Path) -> Iterator[Path]:
    """Yield a path for the content of ``target``, which gets it when the block has ended without an error."""
    partial = target.with_name(f"{_NEW}{secrets.token_hex(8)}")
    try:
        yield partial
        partial.replace(target)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
