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
from typing import BinaryIO

from backends.errors import OutputError
from backends.output_stream import walk
from backends.untrusted import OutputCounter, check_relative_name, create_beneath, link_between, open_beneath
from backends.untrusted.trees import remove_tree
from renderer.worker.unpacked_job import UnpackedJob

BESIDE = "working-folder"  # below it is a file that has the name of a film
CHUNK = 2**20
_SENT_FOLDERS = 10**6  # more than a bundle holds
# Folders in which programs keep what they can make again.
_CACHES = frozenset({
    "__pycache__", "partial_movie_files", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache",
})  # fmt: skip
_MANIM_CACHES = frozenset({"media/Tex", "media/texts"})


class WorkingFolder:
    """The working folder of one unit of a job."""

    def __init__(self, job: UnpackedJob, unit: int) -> None:
        self.path = job.source(unit)
        self._job = job
        self._before: dict[str, os.stat_result] = {}

    def fill(self) -> None:
        """Unpack the job's files, and remember what is there. Raises InputError."""
        self._job.unpack(self.path)
        self._before = dict(self._walk())

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
        """Remove the folder with all that is left in it."""
        remove_tree(self.path)

    def move_outputs(self, target: Path, deadline: float) -> OutputError | None:
        """Put what is new or changed into the folder ``target``. Return what is wrong with a name that is left out.

        A link to a file in the folder becomes a copy of that. Other links, pipes, sockets, devices and the caches of
        programs are left out. Raises OutputError for more than the job's limits, OSError for what cannot be read, and
        TimeoutError after ``deadline``, a time of time.monotonic().
        """
        counter, fault = OutputCounter(self._job.limits), None
        changed = [(name, info) for name, info in self._walk() if not self._is_as_sent(name, info)]
        for name, info in sorted(changed):
            is_file = stat.S_ISREG(info.st_mode)
            counter.add(info.st_size if is_file else 0)
            if found := find_name_fault(name):
                fault = fault or found
            elif is_file:
                self._put(name, info.st_size, target, deadline)
            elif stat.S_ISLNK(info.st_mode):
                self._copy_linked(name, target, counter, deadline)
        return fault

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        most = _SENT_FOLDERS if not self._before else len(self._before) + self._job.limits.files
        for name, info in walk(self.path, max_folders=most, skips=_is_cache):
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

    def _put(self, name: str, size: int, target: Path, deadline: float) -> None:
        with suppress(FileExistsError):
            if not link_between(self.path, target, name):
                with open_beneath(self.path, name) as file:
                    _copy(file, size, target, name, deadline)
            return
        with open_beneath(self.path, name) as file:
            _copy(file, size, target, f"{BESIDE}/{name}", deadline)

    def _copy_linked(self, name: str, target: Path, counter: OutputCounter, deadline: float) -> None:
        try:
            real = PurePosixPath(os.path.realpath(str(self.path / name)))
            file = open_beneath(self.path, real.relative_to(os.path.realpath(str(self.path))))
        except (OSError, ValueError, OutputError):  # it leads to a folder, to nothing, or out of the working folder
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            counter.add(size)
            _copy(file, size, target, name, deadline)


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


def _copy(file: BinaryIO, size: int, target: Path, name: str, deadline: float) -> None:
    with create_beneath(target, name) as copy:
        for data in read_chunks(file, size, deadline):
            copy.write(data)


def _is_cache(folder: str) -> bool:
    return folder in _MANIM_CACHES or folder.rpartition("/")[2] in _CACHES
