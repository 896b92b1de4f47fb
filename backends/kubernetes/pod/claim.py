"""A job's folder on a PVC, read and written with the standard library: images of others do not have obstore."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from backends.storage import StoredFile, translate_error


class ClaimFolder:
    """Does what the store's container needs of ``Storage``, for ``file://`` URIs. Raises the same errors."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.folder = Path(uri[len("file://") :])

    def put(self, path: str, source: Path) -> None:
        """Store a file. Readers see the whole file or none."""
        target = self.folder / path
        partial = target.with_name(f".{target.name}.part")
        with self._translating_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, partial)
            partial.replace(target)

    def create(self, path: str, source: Path) -> bool:
        """Store a small file unless there is one of this name; return whether this call stored it."""
        target = self.folder / path
        with self._translating_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with target.open("xb") as file:
                    file.write(source.read_bytes())
            except FileExistsError:
                return False
        return True

    def get(self, path: str, target: Path) -> None:
        """Copy a file from the PVC."""
        with self._translating_errors():
            shutil.copyfile(self.folder / path, target)

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes; None if the file does not exist."""
        try:
            return (self.folder / path).stat().st_size
        except FileNotFoundError:
            return None

    def list_files(self) -> Iterator[StoredFile]:
        """Yield all files, with size and time."""
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # another pod has removed it
                state = path.lstat()
                if stat.S_ISREG(state.st_mode):
                    yield StoredFile(str(path.relative_to(self.folder)), state.st_size, state.st_mtime)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files."""
        with self._translating_errors():
            for path in paths:
                with suppress(FileNotFoundError):
                    (self.folder / path).unlink()

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise translate_error(error, self.uri) from error
