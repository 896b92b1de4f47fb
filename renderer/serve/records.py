"""What the server keeps of each job that came through it: a folder with the owner and the uploaded files.

ID/record.json  the owner, the request and its digest, the name of the job at its backend
ID/handle       the job's handle, written once the backend has taken the job
ID/project/     the uploaded files, which a retry needs
ID/webhook.json how far the message about its end is: see webhooks
ID/outputs/     downloaded outputs: see outputs

The name of a job contains the id of its record. So a server that was killed after a backend took a job, and before it
could write the handle, finds that job again.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backends import JobHandle
from backends.cache.garbage import describe_file
from backends.errors import OutputError, RendererError, SpecError
from backends.models import NAME_MAX, Garbage
from backends.storage import Storage, remove_old
from backends.untrusted.file_lock import try_lock
from backends.untrusted.state_files import read_state, write_state
from backends.untrusted.trees import remove_tree
from renderer.serve.problems import FREE_DISK
from renderer.spec import job_name

MARK = 10  # characters of the id in the job's name
_ID = re.compile(r"[0-9a-f]{24}")
_NEW = ".new-"
_MAX_BYTES = 2**27
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One job. ``job_name`` is its name at the backend, ``request`` what the caller asked for, as JSON.

    ``digest`` is that of the whole request with its files. ``handle`` is None until the backend has taken the job.
    ``gpus`` is how many GPUs each unit has, ``webhook`` the URL that is told about the end.
    """

    id: str
    owner: str
    created: str
    backend: str
    name: str
    digest: str
    request: Mapping[str, Any]
    handle: str | None = None
    gpus: int = 0
    webhook: str | None = None

    @property
    def unique(self) -> tuple[str, str]:
        """What no other record has. An id comes again if its job is deleted and its Idempotency-Key used once more."""
        return self.id, self.created

    @property
    def job_name(self) -> str:
        """The name of the job at its backend, which no other job has."""
        return f"{self.name}-{self.id[:MARK]}"


class Records:
    """All records of one server. Only one process may have them: see ``lock``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Record] = {}
        self._adopted = set[str]()  # ids of jobs that another replica submitted
        self._guard = threading.Lock()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the records, and read them. Raises SpecError if another server has them."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not try_lock(descriptor):
                raise SpecError(
                    f"another `renderer serve` uses {self.folder}",
                    hint="stop that one, or set XDG_STATE_HOME to another folder",
                )
            self._read_all()
            yield
        finally:
            os.close(descriptor)

    def _read_all(self) -> None:
        for path in self.folder.iterdir():
            if path.name.startswith(_NEW):  # an upload that broke off with the server
                remove_tree(path)
            elif _ID.fullmatch(path.name):
                with suppress(OSError, ValueError, TypeError):
                    record = Record(**json.loads(read_state(path / "record.json", _MAX_BYTES)))
                    with suppress(OSError):
                        record = replace(record, handle=read_state(path / "handle", _MAX_BYTES).decode())
                    self._known[record.id] = record
                    for part in path.glob("*.tmp"):  # a file that was being written
                        part.unlink()

    def all(self, owner: str | None = None, *, with_webhook: bool = False) -> list[Record]:
        """Return the records of an owner, or of all, newest first."""
        with self._guard:
            found = [record for record in self._known.values() if owner in {None, record.owner}]
        if with_webhook:
            found = [record for record in found if record.webhook]
        return sorted(found, key=lambda record: (record.created, record.id), reverse=True)

    def find(self, key: str) -> Record | None:
        """Return the record with this id."""
        return self._known.get(key)

    def adopt(self, record: Record) -> Record:
        """Remember the record of a job that another replica submitted, and return what is known of it here."""
        with self._guard:
            known = self._known.get(record.id)
            if known is None or record.id in self._adopted:  # it may be another job by now, with the same key
                self._adopted.add(record.id)
                known = self._known[record.id] = record
            return known if known.handle else replace(known, handle=record.handle)

    def is_adopted(self, key: str) -> bool:
        """Return whether another replica submitted the job."""
        return key in self._adopted

    def has_files(self, key: str) -> bool:
        """Return whether the uploaded files of a job are here, and not at another replica."""
        return (self.path(key) / "project").is_dir()

    def path(self, key: str) -> Path:
        """Return the folder of a record."""
        return self.folder / key

    @contextmanager
    def upload(self) -> Iterator[Path]:
        """Yield a new folder for uploaded files, which is removed after the block if ``create`` did not take it."""
        path = self.folder / f"{_NEW}{secrets.token_hex(8)}"
        try:
            (path / "project").mkdir(mode=0o700, parents=True)
            yield path
        except OSError as error:
            raise OutputError(f"cannot write the files: {error.strerror}", hint=FREE_DISK) from error
        finally:
            with suppress(OSError):
                remove_tree(path)

    def create(self, upload: Path, record: Record) -> Record:
        """Make the uploaded folder that of a new record, in one step."""
        write_state(upload / "record.json", json.dumps({**asdict(record), "handle": None}).encode())
        upload.rename(self.path(record.id))
        with self._guard:
            self._adopted.discard(record.id)
            self._known[record.id] = record
        return record

    def set_handle(self, record: Record, handle: JobHandle) -> Record:
        """Store the job's handle. On a full disk it is found by the job's name after a restart."""
        done = replace(record, handle=str(handle))
        try:
            write_state(self.path(record.id) / "handle", str(handle).encode())
        except OSError as error:  # the job runs: an answer that says otherwise would have it sent twice
            _log.warning("cannot keep the handle of %s: %s", handle, error.strerror)
        with self._guard:
            self._known[record.id] = done
        return done

    def remove(self, key: str) -> None:
        """Remove a record with its files. Do nothing if it is not there."""
        with self._guard:
            self._known.pop(key, None)
            self._adopted.discard(key)
        hidden = self.folder / f"{_NEW}{secrets.token_hex(8)}"
        with suppress(OSError):
            self.path(key).rename(hidden)  # in one step, so that no half of it is found later
            remove_tree(hidden)

    def copy_project(self, key: str, upload: Path) -> None:
        """Put the files of a record into a new upload: as second names of the same files, where the disk has these."""
        shutil.copytree(self.path(key) / "project", upload / "project", copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def is_id(text: str) -> bool:
    """Return whether the text has the form of a record's id."""
    return _ID.fullmatch(text) is not None


def new_id() -> str:
    """Return a new id."""
    return secrets.token_hex(12)


def short_name(text: str) -> str:
    """Return a name for a job that leaves room for the mark."""
    return job_name(text)[: NAME_MAX - MARK - 1].rstrip("-")


def now() -> str:
    """Return the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def open_archive(store: str | None) -> Storage | None:
    """Return the folder of a bucket with the records of all replicas, see replicas; None for another store."""
    return Storage(f"{store}/served", attempts=2) if store and not store.startswith("pvc://") else None


def collect_garbage(store: str | None, *, older_than: timedelta, dry_run: bool) -> Iterator[Garbage]:
    """Remove old records from the bucket of a server, and yield them."""
    try:
        archive = open_archive(store)
        old = remove_old(archive, older_than.total_seconds(), dry_run=dry_run) if archive else []
    except RendererError as error:  # what else is old is removed all the same
        _log.warning("cannot remove old records from %s: %s", store, error)
        return
    for file in old:
        yield describe_file(f"{store}/served", file, time.time(), removed=not dry_run)


def find_submitted(record: Record, list_jobs: Callable[[str], Iterator[Any]]) -> JobHandle | None:
    """Return the handle of the record's job, if its backend has taken it. Raises RendererError."""
    return next((status.handle for status in list_jobs(record.backend) if status.name == record.job_name), None)
