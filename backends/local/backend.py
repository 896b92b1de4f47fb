"""The backend of this machine."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar

from backends.base import Backend, Plan
from backends.diagnostics import Check
from backends.errors import InputError, JobNotFoundError, OutputError
from backends.files import cache_folder, state_folder
from backends.local import status
from backends.local.folder import JobFolder, Record, boot_id, now, write_json
from backends.local.logs import read_logs
from backends.local.options import LocalOptions
from backends.models import Garbage, JobHandle, JobSpec, JobStatus, LogLine
from backends.worker_protocol import worker_command

CANCEL_WAIT_S = 5.0
HALF_MADE_S = 3600.0  # a folder that is no job after it never becomes one
POLL_S = 0.02
DELETED = ".deleted-"
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")  # as submit makes them
_MADE = re.compile(rf"({re.escape(DELETED)})?[a-z0-9][a-z0-9-]*-[0-9a-f]{{6}}")


@dataclass(frozen=True)
class LocalRequest:
    """What the supervisor starts; paths are below the job's folder."""

    command: tuple[str, ...]
    environment: tuple[str, ...]

    def __str__(self) -> str:
        return json.dumps({"command": self.command, "environment": self.environment}, indent=2)


class LocalBackend(Backend[LocalRequest]):
    """Runs jobs as processes of this machine."""

    name: ClassVar[str] = "local"
    poll_s: ClassVar[float] = 0.05

    def __init__(self, options: LocalOptions | None = None) -> None:
        self.options = options or LocalOptions()
        self.jobs = (self.options.state_dir or state_folder("jobs")).absolute()

    def plan(self, spec: JobSpec) -> Plan[LocalRequest]:
        """Say which worker would run."""
        given = {"gpu": spec.resources.gpu, "cpu": spec.resources.cpu, "memory": spec.resources.memory_mib}
        given |= {"store": spec.store, "image": spec.image}
        idle = [name for name, value in given.items() if value not in {None, "none"}]
        note = f"{', '.join(idle)}: without meaning on this machine, which the job takes as it is"
        command = worker_command(
            sys.executable, task="task.json", bundle="bundle.tar.zst", output="units", units=range(len(spec.units))
        )
        return Plan(spec, LocalRequest(tuple(command), tuple(spec.env)), notes=(note,) if idle else ())

    def submit(self, plan: Plan[LocalRequest]) -> JobHandle:
        """Write the job's folder and start its supervisor, which goes on when this process ends."""
        for _ in self.collect_garbage(older_than=timedelta(days=self.options.keep_days)):
            pass
        try:
            folder = self._new_folder(plan.spec)
        except OSError as error:
            raise OutputError(
                f"cannot write the job to {self.jobs}: {error.strerror}", hint="set RENDERER_LOCAL_STATE_DIR"
            ) from error
        try:
            with folder.lock.open("wb") as lock:  # before the job can be seen: without its lock it would seem lost
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._fill(folder, plan.spec)
                folder.write_record(_record(plan.spec))
                self._start(folder, lock)
        except BaseException as error:
            shutil.rmtree(folder.path, ignore_errors=True)
            if isinstance(error, OSError):
                raise OutputError(f"cannot write the job to {self.jobs}: {error.strerror}") from error
            raise
        return JobHandle(self.name, (folder.path.name,))

    def status(self, handle: JobHandle) -> JobStatus:
        """Read the job's folder."""
        return status.read(self._find(handle), handle)

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Read the units' logs; with ``follow`` until the job has ended."""
        folder = self._find(handle)
        return read_logs(folder, len(folder.record().units), follow=follow, running=lambda: not self._terminal(handle))

    def cancel(self, handle: JobHandle) -> None:
        """Tell the supervisor to end the worker; on return the job is terminal."""
        folder = self._find(handle)
        if self._terminal(handle):
            return
        folder.cancel.touch()
        with suppress(ProcessLookupError, FileNotFoundError, ValueError):
            if folder.supervised():
                os.kill(int(folder.pid.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + CANCEL_WAIT_S
        while folder.supervised() and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def fetch(self, handle: JobHandle, into: Path) -> list[Path]:
        """Copy the units' folders."""
        folder = self._find(handle)
        copied = []
        for unit in range(len(folder.record().units)):
            if folder.unit(unit).is_dir():
                _copy(folder.unit(unit), into / str(unit))
                copied.append(into / str(unit))
        return copied

    def list(self) -> Iterator[JobStatus]:
        """Read every job folder, newest first."""
        found = [(record.created, folder) for record, folder in self._folders()]
        for _, folder in sorted(found, key=lambda item: item[0], reverse=True):
            with suppress(OSError, ValueError):  # deleted meanwhile
                yield status.read(folder, JobHandle(self.name, (folder.path.name,)))

    def delete(self, handle: JobHandle) -> None:
        """Remove the job's folder."""
        folder = self._find(handle)
        self.cancel(handle)
        hidden = self.jobs / f"{DELETED}{folder.path.name}"
        try:
            folder.path.rename(hidden)  # at once: nobody sees half a job, and of two who delete one is told
        except FileNotFoundError:
            raise _not_found(handle) from None
        shutil.rmtree(hidden)

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:  # noqa: ARG002
        """Check the folder where jobs are kept."""
        existing = next(path for path in (self.jobs, *self.jobs.parents) if path.exists())
        if existing.is_dir() and os.access(existing, os.W_OK):
            yield Check("jobs", "ok", f"{sum(1 for _ in self._folders())} in {self.jobs}")
        else:
            yield Check("jobs", "warning", f"cannot write to {self.jobs}", "set RENDERER_LOCAL_STATE_DIR")

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove the folders of jobs that ended that long ago, and what interrupted submits left."""
        for path, age in list(self._find_garbage(older_than)):
            size = sum(file.lstat().st_size for file in path.rglob("*"))
            if not dry_run:
                shutil.rmtree(path, ignore_errors=True)
            yield Garbage(path=str(path), size=size, age=age, removed=not dry_run)

    def _terminal(self, handle: JobHandle) -> bool:
        try:
            return self.status(handle).state.terminal
        except JobNotFoundError:
            return True

    def _find(self, handle: JobHandle) -> JobFolder:
        folder = JobFolder(self.jobs / handle.parts[0])
        known = len(handle.parts) == 1 and _ID.fullmatch(handle.parts[0])
        try:
            if known:
                folder.record()
                return folder
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (ValueError, TypeError) as error:
            raise InputError(f"the job's folder {folder.path} is damaged", hint="remove that folder") from error
        raise _not_found(handle)

    def _folders(self) -> Iterator[tuple[Record, JobFolder]]:
        if not self.jobs.is_dir():
            return
        for path in self.jobs.iterdir():
            if not _ID.fullmatch(path.name):
                continue
            folder = JobFolder(path)
            with suppress(OSError, ValueError, TypeError):
                yield folder.record(), folder

    def _new_folder(self, spec: JobSpec) -> JobFolder:
        self.jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            path = self.jobs / f"{spec.name}-{secrets.token_hex(3)}"
            with suppress(FileExistsError):
                path.mkdir()
                return JobFolder(path)

    def _fill(self, folder: JobFolder, spec: JobSpec) -> None:
        folder.task.write_text(spec.payload, "utf-8")
        folder.bundle.write_bytes(spec.bundle.data)
        write_json(folder.environment, {**self._segment_cache(), **spec.env}, mode=0o600)
        folder.units.mkdir()

    def _segment_cache(self) -> dict[str, str]:
        """Tell the worker where painted segments are kept from job to job."""
        if not self.options.cache_mib:
            return {}
        return {
            "RENDERER_SEGMENT_CACHE": str(cache_folder("segments").absolute()),
            "RENDERER_SEGMENT_CACHE_MIB": str(self.options.cache_mib),
        }

    def _start(self, folder: JobFolder, lock: BinaryIO) -> None:
        """Start the supervisor, which takes over the lock."""
        with (folder.path / "supervisor.log").open("wb") as log:
            supervisor = subprocess.Popen(
                [sys.executable, "-I", "-m", "backends.local.supervisor", str(folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
            folder.pid.write_text(str(supervisor.pid))
        threading.Thread(target=supervisor.wait, daemon=True).start()  # it may outlive this process, or not

    def _find_garbage(self, older_than: timedelta) -> Iterator[tuple[Path, timedelta]]:
        """Yield folders of jobs that ended long ago, and what interrupted submits left, with their ages."""
        now = datetime.now(UTC)
        for _, folder in self._folders():
            with suppress(OSError, ValueError, TypeError):
                finished = status.read(folder, JobHandle(self.name, (folder.path.name,))).finished
                if finished and now - finished > older_than:
                    yield folder.path, now - finished
        for path in self.jobs.iterdir() if self.jobs.is_dir() else ():
            if _is_half_a_job(path):
                yield path, now - datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _is_half_a_job(path: Path) -> bool:
    """Tell what a killed submit or delete left from all else that may lie there."""
    folder = JobFolder(path)
    if not _MADE.fullmatch(path.name) or not folder.lock.is_file():
        return False
    whole = (path / "job.json").exists() and not path.name.startswith(DELETED)
    with suppress(OSError):
        return not whole and time.time() - path.stat().st_mtime > HALF_MADE_S and not folder.supervised()
    return False


def _record(spec: JobSpec) -> Record:
    return Record(
        name=spec.name,
        units=spec.units,
        created=now(),
        boot=boot_id(),
        retries=spec.retries,
        timeout=spec.timeout.total_seconds(),
    )


def _not_found(handle: JobHandle) -> JobNotFoundError:
    return JobNotFoundError(f"there is no job {handle} on this machine", hint="`renderer list` shows the jobs")


def _copy(folder: Path, into: Path) -> None:
    """Copy the files below a folder; unlike shutil.copytree it stops at the first error, and raises just that."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            target = into / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
