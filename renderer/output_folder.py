"""The folder that outputs are written to, and the record of what earlier jobs wrote there.

The record is in the state folder, where no job can write. A file is replaced only if the record says that the same
scene of the same project file wrote it, and if nobody has changed it since.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from backends.errors import OutputError
from backends.files import state_folder
from backends.untrusted import create_beneath, move_beneath, open_beneath, stat_beneath
from backends.untrusted.state_files import lock_state, read_state, write_state
from renderer.bundle.ignore import OWN_IGNORE_FILE, STAGING
from renderer.output_names import fold_name, is_acted_on, is_data

_MOST_TRIES = 100
_PATH_BYTES = 2**16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Download:
    """A verified file: ``path`` is where it is now, ``name`` the name that the job gave it.

    ``source`` is the project file that was submitted, or the job's handle if that is not known on this machine. With
    ``own_folder`` the file always goes to the folder of this name.
    """

    source: str
    unit: str
    index: int
    name: str
    sha256: str
    path: Path
    own_folder: str | None = None

    @property
    def origin(self) -> list[str]:
        """The values that must be equal if a later file shall replace this one."""
        return [self.source, self.unit]

    @property
    def folder(self) -> str:
        """The name of the unit's own folder."""
        if self.own_folder:
            return self.own_folder
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
    real = Path(os.path.realpath(folder))  # a link that leads to itself is left to what writes there
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


def remember_source(handle: str, path: Path, root: Path) -> None:
    """Store which project file the job was made from, and the folder that was uploaded.

    So a later fetch knows what it may replace, and an error can say why a file is missing in the job.
    """
    with suppress(OSError):
        write_state(_source_file(handle), b"\0".join(os.fsencode(item.resolve()) for item in (path, root)))


def forget_source(handle: str) -> None:
    """Remove what ``remember_source`` stored, because the job was deleted."""
    with suppress(OSError):
        _source_file(handle).unlink()


def find_source(handle: str) -> str:
    """Return the job's project file; its handle if it was submitted on another machine."""
    return next(iter(_read_source(handle)), handle)


def find_root(handle: str) -> Path | None:
    """Return the folder that was uploaded with the job; None if it was submitted on another machine."""
    return next((Path(text) for text in _read_source(handle)[1:2]), None)


def _read_source(handle: str) -> list[str]:
    try:
        return os.fsdecode(read_state(_source_file(handle), _PATH_BYTES)).split("\0")
    except OSError:
        return []


def _source_file(handle: str) -> Path:
    return state_folder("sources") / hashlib.sha256(handle.encode()).hexdigest()


def write(downloads: list[Download], into: Path, *, overwrite: bool) -> tuple[list[Path], list[Kept]]:
    """Move the files to the folder. Return their paths, and which files of the user were not replaced.

    The folder is created with its first file. Links in it are not followed. A file goes to the folder of its unit,
    instead of directly to ``into``, if its name belongs to another unit or to the user, or if programs might act on it.
    A file of the user that has the same content already stays the user's.
    Raises OutputError.
    """
    if not downloads:
        return [], []
    is_new = _make_folder(into)
    with _open_record(into) as record:
        if is_new:
            record.made = _identify(into)
        placing = _Placing(into, record, overwrite=overwrite)
        targets = [placing.choose(item) for item in downloads]
        for item, target in zip(downloads, targets, strict=True):
            if target not in placing.equal:
                move_beneath(item.path, into, target)
                record.files[target] = {"origin": item.origin, "sha256": item.sha256}
    return [into / target for target in targets], placing.kept


def _make_folder(into: Path) -> bool:
    """Create the folder if it does not exist. Return whether it holds nothing of the user: it is new or was empty."""
    if into.is_dir():
        return all(path.name.startswith(STAGING) for path in into.iterdir())
    into.mkdir(parents=True, exist_ok=True)  # another fetch may make it at the same time
    with suppress(FileExistsError), create_beneath(into, OWN_IGNORE_FILE) as file:
        file.write(b"*\n")  # so that the next job's bundle does not include these outputs
    return True


def _identify(folder: Path) -> list[int]:
    """Return what tells this folder from another one that is made later at the same path."""
    state = folder.stat()
    return [state.st_dev, state.st_ino]


@dataclass
class _Record:
    """What earlier jobs wrote to a folder, by file name. ``made`` identifies a folder that held nothing of the user."""

    files: dict[str, object] = field(default_factory=dict)
    made: object = None


class _Placing:
    """Chooses the names of the files of one job."""

    def __init__(self, into: Path, record: _Record, *, overwrite: bool) -> None:
        self.kept: list[Kept] = []
        self.equal: set[str] = set()
        self._into = into
        self._record = record.files
        self._is_ours = record.made == _identify(into)
        self._unit_folders = {PurePosixPath(name).parts[0] for name in record.files}
        self._overwrite = overwrite
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def choose(self, item: Download) -> str:
        """Return the file's name in the folder."""
        kept = None
        for name in self._candidates(item):
            if self._is_taken(name):
                continue
            if self._may_write(name, item):
                break
            if not self._is_of_project(name, item):
                kept = kept or name
        else:
            raise OutputError(f"{self._into} has no free name for {item.name}", hint="choose another --output")
        if kept:
            self.kept.append(Kept(self._into / kept, self._into / name))
        path = PurePosixPath(fold_name(name))
        self._files.add(str(path))
        self._folders |= {str(parent) for parent in path.parents}
        return name

    def _is_taken(self, name: str) -> bool:
        """Return whether another file of this job has the name, or needs a folder or file that excludes it."""
        path = PurePosixPath(fold_name(name))
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
        if self._overwrite:
            return True
        digest = self._hash(name)
        if self._record.get(name) == {"origin": item.origin, "sha256": digest}:  # the same scene wrote it
            return True
        if digest == item.sha256:
            self.equal.add(name)
        return digest == item.sha256

    def _is_of_project(self, name: str, item: Download) -> bool:
        """Return whether another scene of the same project file wrote the existing file, and nobody changed it."""
        match self._record.get(name):
            case {"origin": [item.source, str()], "sha256": str(digest)}:
                return digest == self._hash(name)
        return False

    def _hash(self, name: str) -> str | None:
        """Return the SHA-256 of an existing file; None for one that cannot be read."""
        try:
            with open_beneath(self._into, name) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (OutputError, OSError):
            return None

    def _candidates(self, item: Download) -> Iterator[str]:
        """Yield the names that the file may get: its own, and then names in a folder that only downloads write to."""
        path = PurePosixPath(item.name)
        if item.own_folder is None and (not is_acted_on(path) if self._is_ours else is_data(path)):
            yield item.name
        for number in range(1, _MOST_TRIES):
            folder = f"{item.folder}-{number}" if number > 1 else item.folder
            if folder in self._unit_folders or not os.path.lexists(self._into / folder):
                yield f"{folder}/{item.name}"


@contextmanager
def _open_record(into: Path) -> Iterator[_Record]:
    """Yield the record of the folder, and save it after the block. Only one process can have it."""
    into = into.resolve()
    file = state_folder("downloads") / f"{hashlib.sha256(os.fsencode(into)).hexdigest()}.json"
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_state(file.with_suffix(".lock")))
            record = _read_record(file)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise OutputError(
                    f"another process holds the lock of {into}", hint=f"wait until it has ended: lsof {error.filename}"
                ) from error
            _log.info("cannot remember what is written to %s: %s", into, error)
            yield _Record()
            return
        try:
            yield record
        finally:
            content = {"folder": str(into), "made": record.made, "files": record.files}
            write_state(file, json.dumps(content).encode("utf-8", "surrogateescape"))


def _read_record(file: Path) -> _Record:
    try:
        content = json.loads(read_state(file))
        return _Record(dict(content["files"]), content.get("made"))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _Record()
