"""The folder with all jobs of one backend of this machine."""

from __future__ import annotations

import functools
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backends.errors import InputError, JobNotFoundError
from backends.local import status
from backends.local.documents import Record
from backends.local.folder import JobFolder
from backends.models import JobHandle, JobStatus
from backends.untrusted.trees import remove_tree

INCOMPLETE_S = 3600.0  # a folder that is older and still incomplete never becomes a job
MOST_UNITS = 20  # of a job whose end is remembered
DELETED = ".deleted-"
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")  # as ``create`` makes them
_CREATED = re.compile(rf"({re.escape(DELETED)})?[a-z0-9][a-z0-9-]*-[0-9a-f]{{6}}")


@dataclass(slots=True)
class _Known:
    """What never changes of a job: when it was created and, if it has ended, its state."""

    created: str
    ended: JobStatus | None = None


class JobStore:
    """The jobs of one backend, each in a folder below ``path``. ``open_store`` returns it."""

    def __init__(self, backend: str, path: Path) -> None:
        self.backend = backend
        self.path = path
        self._known: dict[tuple[str, int], _Known] = {}  # by names and inodes: a name may come again

    def create(self, name: str) -> JobFolder:
        """Return the new, empty folder of a job. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            path = self.path / f"{name}-{secrets.token_hex(3)}"
            with suppress(FileExistsError):
                path.mkdir()
                return JobFolder(path)

    def find(self, handle: JobHandle) -> JobFolder:
        """Return the folder of a job. Raises JobNotFoundError, and InputError for a damaged one."""
        folder = self.find_any(handle)
        try:
            folder.read_record()
        except ValueError as error:
            raise damaged(folder, handle) from error
        return folder

    def find_any(self, handle: JobHandle) -> JobFolder:
        """Return the folder of a job, a damaged one too. Raises JobNotFoundError."""
        if len(handle.parts) != 1 or not _ID.fullmatch(handle.parts[0]):
            raise not_found(handle)
        folder = JobFolder(self.path / handle.parts[0])
        if not folder.is_complete:
            raise not_found(handle)
        return folder

    def handle(self, folder: JobFolder) -> JobHandle:
        """Return the handle of the job in the folder."""
        return JobHandle(self.backend, (folder.id,))

    def count(self) -> int:
        """Return how many jobs there are. Damaged folders are left out."""
        return len(self._read_all())

    def statuses(self) -> Iterator[JobStatus]:
        """Yield the state of every job, newest first. Damaged folders are left out.

        Only what is used is read; and from the second time on, of each job that has ended only once.
        """
        remembers = bool(self._known)  # most commands list once
        for name, known, read in sorted(self._read_all(), key=lambda job: job[1].created, reverse=True):
            if not (found := known.ended):
                folder = read[0] if read else JobFolder(self.path / name)
                try:
                    record = read[1] if read else folder.read_record()
                    found = status.read_summary(folder, self.handle(folder), record)
                except (OSError, ValueError):  # deleted in the meantime
                    continue
                if remembers and found.state.terminal and len(found.units) <= MOST_UNITS:
                    known.ended = found
            yield found

    def _read_all(self) -> list[tuple[str, _Known, tuple[JobFolder, Record] | None]]:
        """Return all jobs, in any order: the folder's name, and the folder and record of a job that was not known."""
        jobs, known = [], {}
        for entry in os.scandir(self.path) if self.path.is_dir() else ():
            key, read = (entry.name, entry.inode()), None
            if not (job := self._known.get(key)):
                if not _ID.fullmatch(entry.name):
                    continue
                folder = JobFolder(self.path / entry.name)
                try:
                    read = folder, folder.read_record()
                except (OSError, ValueError):
                    continue
                job = _Known(read[1].created)
            known[key] = job
            jobs.append((entry.name, job, read))
        self._known = known
        return jobs

    def delete(self, folder: JobFolder) -> None:
        """Remove a job. Raises JobNotFoundError if somebody else has just removed it."""
        hidden = self.path / f"{DELETED}{folder.id}"
        try:
            folder.path.rename(hidden)  # in one step, so that nobody sees an incomplete job
        except FileNotFoundError:
            raise not_found(self.handle(folder)) from None
        remove_tree(hidden)

    def find_garbage(self, older_than: timedelta) -> Iterator[tuple[Path, timedelta]]:
        """Yield the folders and ages of jobs that ended more than ``older_than`` ago, and of interrupted submits."""
        now = datetime.now(UTC)
        for folder in self._folders():
            with suppress(OSError, ValueError):
                if folder.ended_within(older_than):
                    continue  # each submit comes here, and reading the status of many jobs takes long
                finished = status.read_status(folder, self.handle(folder)).finished
                if finished and now - finished > older_than:
                    yield folder.path, now - finished
        for path in self._entries():
            with suppress(OSError):
                if _is_incomplete(path):
                    yield path, now - datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def _folders(self) -> Iterator[JobFolder]:
        return (JobFolder(path) for path in self._entries() if _ID.fullmatch(path.name))

    def _entries(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []


@functools.cache
def open_store(backend: str, path: Path) -> JobStore:
    """Return the jobs in a folder: the same object for all that this process does with them, because it remembers."""
    return JobStore(backend, path)


def not_found(handle: JobHandle) -> JobNotFoundError:
    """Return the error for a handle that names no job here."""
    hint = f"`renderer list --backend {handle.backend}` shows yours"
    return JobNotFoundError(f"there is no job {handle} on this machine", hint=hint)


def damaged(folder: JobFolder, handle: JobHandle) -> InputError:
    """Return the error for a job whose folder holds something else than this program has written."""
    return InputError(f"the job's folder {folder.path} is damaged", hint=f"`renderer delete {handle}` removes it")


def _is_incomplete(path: Path) -> bool:
    """Return whether a killed submit or delete left the folder behind. Other folders may belong to the user."""
    folder = JobFolder(path)
    if not _CREATED.fullmatch(path.name):
        return False
    if folder.is_complete and not path.name.startswith(DELETED):  # as nearly all are
        return False
    if not folder.lock.is_file() and any(path.iterdir()):
        return False
    return time.time() - path.stat().st_mtime > INCOMPLETE_S and not folder.is_supervised()
