"""What the backends of this machine share: jobs in folders, each with a supervisor that starts its worker."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, ClassVar

from backends.base import Backend
from backends.debug_log import VARIABLE, active_level
from backends.diagnostics import Check
from backends.errors import JobNotFoundError, OutputError
from backends.local.folder import JobFolder, Launcher, Record, boot_id, now, write_json
from backends.local.job_store import JobStore
from backends.local.logs import read_logs
from backends.local.status import read_status
from backends.models import Garbage, JobHandle, JobSpec, JobStatus, LogLine

CANCEL_TIMEOUT_S = 5.0
POLL_INTERVAL_S = 0.02
MakeLauncher = Callable[[JobFolder], Launcher]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerRequest:
    """The worker's command, with paths below the job's folder, and the names of variables for the user's code."""

    command: tuple[str, ...]
    environment: tuple[str, ...]

    def __str__(self) -> str:
        return json.dumps({"command": self.command, "environment": self.environment}, indent=2)


class SupervisedBackend(Backend[WorkerRequest]):
    """A backend whose jobs are folders of this machine. Backends differ in ``plan`` and in how the worker starts."""

    poll_s: ClassVar[float] = 0.05

    def __init__(self, jobs: JobStore, keep: timedelta) -> None:
        self.jobs = jobs
        self.keep = keep

    def start(self, spec: JobSpec, make_launcher: MakeLauncher, environment: Mapping[str, str]) -> JobHandle:
        """Write the job's folder and start its supervisor, which survives this process.

        ``environment`` is for the worker; the job's own variables come over it. Raises OutputError where the folder
        cannot be written.
        """
        for _ in self.collect_garbage(older_than=self.keep):
            pass
        try:
            folder = self.jobs.create(spec.name)
        except OSError as error:
            hint = "set RENDERER_LOCAL_STATE_DIR"
            raise OutputError(f"cannot write the job to {self.jobs.path}: {error.strerror}", hint=hint) from error
        try:
            with folder.lock.open("wb") as lock:  # before the job can be seen: without a lock it would seem lost
                fcntl.flock(lock, fcntl.LOCK_EX)
                _write_inputs(folder, spec, {**environment, **spec.env})
                folder.write_launcher(make_launcher(folder))
                folder.write_record(_make_record(spec))
                _start_supervisor(folder, lock)
        except BaseException as error:
            shutil.rmtree(folder.path, ignore_errors=True)
            if isinstance(error, OSError):
                raise OutputError(f"cannot write the job to {self.jobs.path}: {error.strerror}") from error
            raise
        return self.jobs.handle(folder)

    def status(self, handle: JobHandle) -> JobStatus:
        """Read the job's folder."""
        return read_status(self.jobs.find(handle), handle)

    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Read the units' logs; with ``follow`` until the job has ended."""
        folder = self.jobs.find(handle)
        units = len(folder.read_record().units)
        return read_logs(folder, units, follow=follow, is_running=lambda: not self._is_terminal(handle))

    def cancel(self, handle: JobHandle) -> None:
        """Ask the supervisor to end the worker; on return the job is terminal."""
        folder = self.jobs.find(handle)
        if self._is_terminal(handle):
            return
        folder.cancel.touch()
        with suppress(ProcessLookupError, FileNotFoundError, ValueError):
            if folder.is_supervised():
                os.kill(int(folder.pid.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + CANCEL_TIMEOUT_S
        while folder.is_supervised() and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL_S)

    def fetch(self, handle: JobHandle, into: Path) -> list[Path]:
        """Copy the units' folders."""
        folder = self.jobs.find(handle)
        copied = []
        for unit in range(len(folder.read_record().units)):
            if folder.unit(unit).is_dir():
                _copy_files(folder.unit(unit), into / str(unit))
                copied.append(into / str(unit))
        return copied

    def list(self) -> Iterator[JobStatus]:
        """Read every job's folder, newest first."""
        for _, folder in sorted(self.jobs.read_all(), key=lambda item: item[0].created, reverse=True):
            with suppress(OSError, ValueError):  # deleted in the meantime
                yield read_status(folder, self.jobs.handle(folder))

    def delete(self, handle: JobHandle) -> None:
        """Remove the job's folder."""
        folder = self.jobs.find(handle)
        self.cancel(handle)
        self.jobs.delete(folder)

    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:  # noqa: ARG002
        """Check the folder that holds the jobs."""
        existing = next(path for path in (self.jobs.path, *self.jobs.path.parents) if path.exists())
        if existing.is_dir() and os.access(existing, os.W_OK):
            yield Check("jobs", "ok", f"{sum(1 for _ in self.jobs.read_all())} in {self.jobs.path}")
        else:
            yield Check("jobs", "warning", f"cannot write to {self.jobs.path}", "set RENDERER_LOCAL_STATE_DIR")

    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove jobs that ended that long ago, and what interrupted submits left."""
        for path, age in list(self.jobs.find_garbage(older_than)):
            size = sum(file.lstat().st_size for file in path.rglob("*"))
            if not dry_run:
                shutil.rmtree(path, ignore_errors=True)
            yield Garbage(path=str(path), size=size, age=age, removed=not dry_run)

    def _is_terminal(self, handle: JobHandle) -> bool:
        try:
            return self.status(handle).state.terminal
        except JobNotFoundError:
            return True


def _write_inputs(folder: JobFolder, spec: JobSpec, environment: Mapping[str, str]) -> None:
    folder.task.write_text(spec.payload, "utf-8")
    folder.bundle.write_bytes(spec.bundle.data)
    write_json(folder.environment, environment, mode=0o600)
    folder.units.mkdir()


def _make_record(spec: JobSpec) -> Record:
    return Record(
        name=spec.name,
        units=spec.units,
        created=now(),
        boot=boot_id(),
        retries=spec.retries,
        timeout=spec.timeout.total_seconds(),
    )


def _start_supervisor(folder: JobFolder, lock: BinaryIO) -> None:
    """Start the supervisor, which inherits the lock."""
    with folder.supervisor_log.open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-m", "backends.local.supervisor", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            env={**os.environ, **({VARIABLE: level} if (level := active_level()) else {})},
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
        folder.pid.write_text(str(supervisor.pid))
    _log.debug("started supervisor %d of %s", supervisor.pid, folder.path)
    threading.Thread(target=supervisor.wait, daemon=True).start()  # reaps it, should it end before this process


def _copy_files(folder: Path, into: Path) -> None:
    """Copy the files below a folder. Unlike shutil.copytree, stop at the first error and raise it as it is."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            target = into / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
