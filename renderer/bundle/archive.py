"""Writes a bundle: a tar, compressed with gzip, which every Python reads. Equal content gives equal tars."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from backends import Bundle
from backends.errors import OutputError, SpecError
from backends.untrusted.files import open_regular

SMALL = 16 * 2**20  # what is larger cannot fit into a ConfigMap, and is compressed quickly instead of well
MTIME = 315619200  # the second day of 1980: zip files, which a job may write, cannot hold an earlier time


@dataclass(frozen=True)
class Entry:
    """One file or symbolic link: ``name`` is its path below ``root`` and in the bundle, with slashes.

    ``content`` replaces that of the file, which need not exist then.
    """

    name: str
    root: Path
    info: os.stat_result
    content: bytes | None = field(default=None, repr=False)

    @classmethod
    def make(cls, name: str, root: Path, content: bytes) -> Entry:
        """Return an entry for a file that exists only in the bundle."""
        info = os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, len(content), 0, 0, 0))
        return cls(name, root, info, content)

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return self.root / self.name

    def read(self) -> bytes:
        """Return the content, at most as many bytes as the file had when it was found.

        If a link has replaced the file or a folder above it in the meantime, it is not followed. Raises SpecError if
        the file cannot be read, and FileNotFoundError if it was removed.
        """
        if self.content is not None:
            return self.content
        try:
            with open_regular(self.root, PurePosixPath(self.name)) as file:
                return file.read(self.info.st_size)
        except FileNotFoundError:
            raise
        except (OSError, OutputError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a regular file any more"
            raise SpecError(
                f"cannot read {self.name}: {reason}", hint="fix its permissions, or exclude it in .rendererignore"
            ) from error


def make_bundle(
    entries: Iterable[Entry], extra: Mapping[str, bytes] | None = None, folders: Iterable[str] = ()
) -> Bundle:
    """Return a bundle of the entries, in whatever order, and of the ``extra`` files, which are on no disk.

    ``folders`` are those without files. Raises SpecError for a file that cannot be read.
    """
    tar = _tar(
        sorted(entries, key=lambda entry: os.fsencode(entry.name)), extra or {}, sorted(folders, key=os.fsencode)
    )
    level = 6 if len(tar) < SMALL else 1
    return Bundle(digest=hashlib.sha256(tar).hexdigest(), data=gzip.compress(tar, level, mtime=0))


def _tar(entries: list[Entry], extra: Mapping[str, bytes], folders: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            header = tarfile.TarInfo(entry.name)
            header.mtime = MTIME
            if stat.S_ISLNK(entry.info.st_mode):
                header.type, header.mode = tarfile.SYMTYPE, 0o777
                header.linkname = entry.path.readlink().as_posix()
                archive.addfile(header)
                continue
            content = entry.read()
            header.size = len(content)
            header.mode = 0o755 if entry.info.st_mode & stat.S_IXUSR else 0o644
            archive.addfile(header, io.BytesIO(content))
        for name, content in extra.items():
            header = tarfile.TarInfo(name)
            header.mtime, header.size = MTIME, len(content)
            archive.addfile(header, io.BytesIO(content))
        for name in folders:
            header = tarfile.TarInfo(name)
            header.type, header.mode, header.mtime = tarfile.DIRTYPE, 0o755, MTIME
            archive.addfile(header)
    return buffer.getvalue()
