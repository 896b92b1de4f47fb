"""The folder that outputs are written to, and the record of what earlier jobs wrote there.

The record is in the state folder, where no job can write. A file is replaced only if the record says that the same
scene of the same project file wrote it, and if nobody has changed it since.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.files import state_folder
from backends.untrusted import create_beneath, move_beneath, open_beneath, stat_beneath
from renderer.bundle.ignore import OWN_IGNORE_FILE

# Programs act on files with these names in any folder. So such outputs go to a separate folder.
_ACTED_ON = frozenset({
    "gnumakefile", "makefile", "manim.cfg", "package.json", "pyproject.toml", "pytest.ini",
    "renderer.toml", "setup.cfg", "tox.ini",
})  # fmt: skip
_ACTED_ON_ENDINGS = frozenset({".pth", ".py", ".pyc", ".pyd", ".so"})
_MOST_TRIES = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Download:
    """A verified file: ``path`` is where it is now, ``name`` the name that the job gave it.

    ``source`` is the project file that was submitted, or the job's handle if that is not known on this machine.
    """

    source: str
    unit: str
    index: int
    name: str
    sha256: str
    path: Path

    @property
    def origin(self) -> list[str]:
        """The values that must be equal if a later file shall replace this one."""
        return [self.source, self.unit]

    @property
    def folder(self) -> str:
        """The name of the unit's own folder."""
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '_', self.unit)[:100].lstrip('.') or 'unit'}-{self.index}"


@dataclass(frozen=True)
class Kept:
    """A file of the user that was not replaced, and the path of the job's file instead."""

    wanted: Path
    written: Path


def check_place(folder: Path) -> None:
    """Raise OutputError if the project decides where the folder really is, and not the user.

    A checked-out project may contain a link, such as ``renders`` to ``.git`` or to ``~/.ssh``. So a relative path must
    not lead through a link, nor into a hidden folder. What an absolute path leads to is the user's own choice.
    """
    if folder.is_absolute():
        return
    real = folder.resolve()
    if real != Path(os.path.normpath(Path.cwd().resolve() / folder)):
        raise OutputError(
            f"the output folder {folder} leads through a link, to {real}",
            hint="if you want it there, name it by its absolute path: --output /…",
        )
    if has_hidden_part(folder):
        raise OutputError(
            f"the output folder {folder} is in a hidden folder",
            hint="choose another --output, or name it by its absolute path",
        )


def has_hidden_part(path: Path) -> bool:
    """Return whether the path leads into a folder whose name begins with a dot, such as ``.git``."""
    return any(part.startswith(".") and part != ".." for part in path.parts)


def remember_source(handle: str, path: Path) -> None:
    """Store which project file the job was made from, so that a later fetch knows what it may replace."""
    with suppress(OSError):
        file = _source_file(handle)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(path.resolve()), "utf-8", "surrogateescape")


def forget_source(handle: str) -> None:
    """Remove what ``remember_source`` stored, because the job was deleted."""
    with suppress(OSError):
        _source_file(handle).unlink()


def find_source(handle: str) -> str:
    """Return the job's project file; its handle if it was submitted on another machine."""
    try:
        return _source_file(handle).read_text("utf-8", "surrogateescape")
    except OSError:
        return handle


def _source_file(handle: str) -> Path:
    return state_folder("sources") / hashlib.sha256(handle.encode()).hexdigest()


def write(downloads: list[Download], into: Path, *, overwrite: bool) -> tuple[list[Path], list[Kept]]:
    """Move the files to the folder. Return their paths, and which files of the user were not replaced.

    The folder is created with its first file. Links in it are not followed. A file goes to the folder of its unit,
    instead of directly to ``into``, if its name belongs to another unit or to the user, or if programs act on it.
    """
    if not downloads:
        return [], []
    _make_folder(into)
    with _record(into) as record:
        placing = _Placing(into, record, overwrite=overwrite)
        targets = [placing.choose(item) for item in downloads]
        for item, target in zip(downloads, targets, strict=True):
            move_beneath(item.path, into, target)
            record[target] = {"origin": item.origin, "sha256": item.sha256}
    return [into / target for target in targets], placing.kept


def _make_folder(into: Path) -> None:
    if into.is_dir():
        return
    into.mkdir(parents=True, exist_ok=True)  # another fetch may make it at the same time
    with suppress(FileExistsError), create_beneath(into, OWN_IGNORE_FILE) as file:
        file.write(b"*\n")  # so that the next job's bundle does not include these outputs


class _Placing:
    """Chooses the names of the files of one job."""

    def __init__(self, into: Path, record: Mapping[str, object], *, overwrite: bool) -> None:
        self.kept: list[Kept] = []
        self._into = into
        self._record = record
        self._overwrite = overwrite
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def choose(self, item: Download) -> str:
        """Return the file's name in the folder."""
        kept = None
        for name in _candidates(item):
            if self._is_taken(name):
                continue
            if self._may_write(name, item):
                break
            kept = kept or name
        else:
            raise OutputError(f"{self._into} has no free name for {item.name}", hint="choose another --output")
        if kept:
            self.kept.append(Kept(self._into / kept, self._into / name))
        path = PurePosixPath(_fold(name))
        self._files.add(str(path))
        self._folders |= {str(parent) for parent in path.parents}
        return name

    def _is_taken(self, name: str) -> bool:
        """Return whether another file of this job has the name, or needs a folder or file that excludes it."""
        path = PurePosixPath(_fold(name))
        return not self._files.isdisjoint([str(path), *map(str, path.parents)]) or str(path) in self._folders

    def _may_write(self, name: str, item: Download) -> bool:
        try:
            found = stat_beneath(self._into, name)
        except OutputError:  # below a link or a file
            return False
        if found is None:
            return True
        if stat.S_ISDIR(found.st_mode):
            return False
        return self._overwrite or self._is_unchanged(name, item)

    def _is_unchanged(self, name: str, item: Download) -> bool:
        """Return whether the existing file is what the same scene wrote earlier, or already has the new content."""
        try:
            with open_beneath(self._into, name) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OutputError, OSError):
            return False
        return digest == item.sha256 or self._record.get(name) == {"origin": item.origin, "sha256": digest}


def _candidates(item: Download) -> Iterator[str]:
    if not _is_acted_on(PurePosixPath(item.name)):
        yield item.name
    for number in range(1, _MOST_TRIES):
        yield f"{item.folder}-{number}/{item.name}" if number > 1 else f"{item.folder}/{item.name}"


def _is_acted_on(path: PurePosixPath) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return hidden or path.name.lower() in _ACTED_ON or path.suffix.lower() in _ACTED_ON_ENDINGS


def _fold(name: str) -> str:
    """Return a form of the name that is the same for names which a disk that ignores case cannot tell apart."""
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def _record(into: Path) -> Iterator[dict[str, object]]:
    """Yield the record of the folder (by file name), and save it after the block. Only one process can have it."""
    into = into.resolve()
    file = state_folder("downloads") / f"{hashlib.sha256(str(into).encode(errors='surrogateescape')).hexdigest()}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_suffix(".lock").open("w")
    except OSError as error:
        _log.info("cannot remember what is written to %s: %s", into, error)
        yield {}
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = _read_record(file)
        try:
            yield files
        finally:
            temporary = file.with_suffix(".tmp")
            temporary.write_text(json.dumps({"folder": str(into), "files": files}), "utf-8", "surrogateescape")
            temporary.replace(file)


def _read_record(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_bytes())
        return dict(content["files"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}
