"""The folder that one unit runs in: the files that were sent with the job, and then what the run leaves there.

Each unit has a folder of its own, so that it sees the project as it was sent, and only its own changes. What is new or
changed there when it has ended are its outputs, under the same names.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from backends.errors import OutputError
from backends.output_stream import walk
from backends.untrusted import OutputCounter, check_relative_name, create_beneath, link_between, open_beneath
from backends.untrusted.trees import remove_tree
from renderer.worker.unpacked_job import UnpackedJob, identify

BESIDE = "working-folder"  # below it is a file that has the name of a film
CHUNK = 2**20
_SENT_FOLDERS = 10**6  # more than a bundle holds
# Folders in which programs keep what they can make again.
_CACHES = frozenset({
    "__pycache__", "partial_movie_files", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache",
})  # fmt: skip
_MANIM_CACHES = frozenset({"media/Tex", "media/texts"})


class _File(NamedTuple):
    """A file in the working folder: its name there and its size in bytes."""

    name: str
    size: int


class WorkingFolder:
    """The working folder of one unit of a job."""

    def __init__(self, job: UnpackedJob, unit: int) -> None:
        self.path = job.source(unit)
        self._job = job
        self._everything: dict[str, os.stat_result] = {}  # with folders
        self._before: dict[str, os.stat_result] = {}

    def fill(self) -> None:
        """Unpack the job's files, or take a folder that is still as it was sent. Raises InputError."""
        if self._job.untouched:
            self._job.untouched.pop().rename(self.path)
        else:
            self._job.unpack(self.path)
        self._everything = dict(_scan(self.path))
        self._before = {name: info for name, info in self._everything.items() if not stat.S_ISDIR(info.st_mode)}

    def restore(self, keep: Iterable[str] = ()) -> None:
        """Make the folder as it was sent, but for the files ``keep``, which stay as they are."""
        with tempfile.TemporaryDirectory(dir=str(self._job.scratch)) as aside:
            kept = {name: Path(aside, str(number)) for number, name in enumerate(keep)}
            for name, place in kept.items():
                (self.path / name).rename(place)
            for path in self.path.iterdir():
                remove_tree(path)
            self._job.unpack(self.path)
            for name, place in kept.items():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                place.replace(self.path / name)

    def remove(self) -> None:
        """Remove the folder with all that is left in it, or leave it to the next unit if nothing in it has changed."""
        if self._is_untouched():
            self._job.untouched.append(self.path)
        else:
            remove_tree(self.path)

    def _is_untouched(self) -> bool:
        left = dict(self._everything)
        with suppress(OSError):
            for name, info in _scan(self.path):  # ends at the first difference
                before = left.pop(name, None)
                if before is None or identify(before) != identify(info):
                    return False
            return not left
        return False

    def move_outputs(self, target: Path, deadline: float) -> OutputError | None:
        """Move what is new or changed to the folder ``target``. Return what is wrong with a name that is left out.

        The folder is made for the first file.

        A link to a file in the folder becomes a copy of that. Other links, pipes, sockets, devices and the caches of
        programs are left out. Raises OutputError for more than the job's limits, OSError for what cannot be read, and
        TimeoutError after ``deadline``, a time of time.monotonic().
        """
        counter, fault, found = OutputCounter(self._job.limits), None, []
        for name, info in self._walk(known=len(self._before)):
            if not self._is_as_sent(name, info):
                file = self._find_file(name, info)
                counter.add(file.size if file else 0)
                found.append((name, file))
        if found:
            target.mkdir(exist_ok=True)
        for name, file in sorted(found, key=lambda item: item[0]):
            if error := find_name_fault(name):
                fault = fault or error
            elif file:
                self._put(file, target, name, deadline)
        return fault

    def _find_file(self, name: str, info: os.stat_result) -> _File | None:
        """Return the file that an output is made of; None for what is not a file or a link to a file in the folder."""
        if stat.S_ISREG(info.st_mode):
            return _File(name, info.st_size)
        if not stat.S_ISLNK(info.st_mode):
            return None
        try:
            real = PurePosixPath(os.path.realpath(str(self.path / name)))
            linked = str(real.relative_to(os.path.realpath(str(self.path))))
            with open_beneath(self.path, linked) as file:
                return _File(linked, os.fstat(file.fileno()).st_size)
        except (OSError, ValueError, OutputError):  # it leads to a folder, to nothing, or out of the working folder
            return None

    def _walk(self, known: int) -> Iterator[tuple[str, os.stat_result]]:
        for name, info in walk(self.path, self._job.limits, known=known, skips=_is_cache):
            if not name.endswith(".pyc"):
                yield name, info

    def _is_as_sent(self, name: str, info: os.stat_result) -> bool:
        before = self._before.get(name)
        if before is None or stat.S_IFMT(before.st_mode) != stat.S_IFMT(info.st_mode) or before.st_size != info.st_size:
            return False
        unchanged = before.st_mtime_ns == info.st_mtime_ns and before.st_ctime_ns == info.st_ctime_ns
        return (unchanged and before.st_ino == info.st_ino) or self._has_sent_content(name)

    def _has_sent_content(self, name: str) -> bool:
        """Return whether a file that was written again has the content that was sent, or a link its target."""
        sent = self._sent / name
        if sent.is_symlink():
            return sent.readlink() == (self.path / name).readlink()
        with open_beneath(self.path, name) as file, sent.open("rb") as original:
            while data := file.read(CHUNK):
                if data != original.read(CHUNK):
                    return False
        return True

    @cached_property
    def _sent(self) -> Path:
        """A second copy of what was sent. It is removed with the worker."""
        folder = Path(tempfile.mkdtemp(dir=str(self._job.scratch)))
        self._job.unpack(folder)
        return folder

    def _put(self, file: _File, target: Path, name: str, deadline: float) -> None:
        for new_name in (name, f"{BESIDE}/{name}"):
            with suppress(FileExistsError):
                if not link_between(self.path, file.name, target, new_name):
                    self._copy(file, target, new_name, deadline)
                return

    def _copy(self, file: _File, target: Path, name: str, deadline: float) -> None:
        with open_beneath(self.path, file.name) as source, create_beneath(target, name) as copy:
            for data in read_chunks(source, file.size, deadline):
                copy.write(data)


def _scan(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and state of everything below a folder, folders as well. No link is followed."""
    folders = [""]
    for name in folders:  # the loop appends to the list
        with os.scandir(os.path.join(str(folder), name)) as entries:  # noqa: PTH118 - quicker, for each unit of a map
            for entry in entries:
                path = f"{name}/{entry.name}" if name else entry.name
                yield path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)


def find_name_fault(name: str) -> OutputError | None:
    """Return what is wrong with the name of an output; None if it may be used."""
    try:
        name.encode()
        check_relative_name(name)
    except UnicodeEncodeError:
        return OutputError(f"the name of an output is not UTF-8: {name!a}", hint="write it under another name")
    except OutputError as error:
        return error
    return None


def read_chunks(file: BinaryIO, size: int, deadline: float) -> Iterator[bytes]:
    """Yield the next ``size`` bytes, or all if there are fewer. Raises TimeoutError after the deadline."""
    while size > 0 and (data := file.read(min(size, CHUNK))):
        if time.monotonic() > deadline:
            raise TimeoutError
        yield data
        size -= len(data)


def _is_cache(folder: str) -> bool:
    return folder in _MANIM_CACHES or folder.rpartition("/")[2] in _CACHES
