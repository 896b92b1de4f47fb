"""The folder of one local job, and the documents in it.

ID/job.json          name, units, when the job was created, on which boot of the machine
ID/launcher.json     how the worker is started
ID/task.json         the worker's payload
ID/bundle.tar.zst    the inputs, removed when the job has ended
ID/environment.json  variables for the user's code; only the owner can read it, removed when the job has ended
ID/lock              locked by the supervisor while it lives
ID/pid               the supervisor's process id
ID/attempt           the number of the current attempt
ID/cancel            exists once somebody has cancelled the job
ID/state.json        how the job ended; written last
ID/worker.log        what the worker itself printed
ID/supervisor.log    what the supervisor itself printed
ID/scratch/          the worker's temporary files, removed when the job has ended
ID/units/INDEX/      log.txt, result.json and files/ of each unit
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from backends.models import JobState
from backends.problem import Problem
from backends.worker_protocol import LOG

TAIL_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class Record:
    """The content of job.json. ``created`` is ISO 8601 in UTC, ``timeout`` in seconds."""

    name: str
    units: tuple[str, ...]
    created: str
    boot: str
    retries: int
    timeout: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The content of state.json: how the job ended. ``problem`` is set for a job that failed."""

    state: JobState
    finished: str
    attempts: int = 1
    problem: Problem | None = None

    def to_json(self) -> dict[str, object]:
        """Return the document, in which the problem is flat."""
        return {
            "state": self.state,
            "finished": self.finished,
            "attempts": self.attempts,
            "exit_code": self.problem.exit_code if self.problem else None,
            "reason": self.problem.message if self.problem else None,
        }

    @classmethod
    def from_json(cls, text: bytes) -> Ended:
        """Return what the document says."""
        content = json.loads(text)
        code, reason = content.pop("exit_code"), content.pop("reason")
        problem = Problem(message=reason, exit_code=code) if reason else None
        return cls(**{**content, "state": JobState(content["state"])}, problem=problem)


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """How the worker is started and ended.

    ``python`` and ``root``, the job's folder, are paths as the worker sees them. ``prefix`` comes before the worker's
    command, such as ``docker run …``; ``end`` is a command that removes what the prefix left behind, run after each
    attempt.
    """

    python: str
    root: str
    prefix: tuple[str, ...] = ()
    end: tuple[str, ...] = ()


class JobFolder:
    """One job on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.task = path / "task.json"
        self.bundle = path / "bundle.tar.zst"
        self.environment = path / "environment.json"
        self.lock = path / "lock"
        self.pid = path / "pid"
        self.attempt = path / "attempt"
        self.cancel = path / "cancel"
        self.worker_log = path / "worker.log"
        self.supervisor_log = path / "supervisor.log"
        self.scratch = path / "scratch"
        self.units = path / "units"
        self._record = path / "job.json"
        self._launcher = path / "launcher.json"
        self._state = path / "state.json"

    @property
    def id(self) -> str:
        """The job's id, which is the folder's name."""
        return self.path.name

    @property
    def is_complete(self) -> bool:
        """Whether submit has written all of it."""
        return self._record.exists()

    def unit(self, index: int) -> Path:
        """Return the folder of one unit."""
        return self.units / str(index)

    def log(self, index: int) -> Path:
        """Return the path of a unit's log."""
        return self.unit(index) / LOG

    def read_record(self) -> Record:
        """Return job.json. Raises OSError, TypeError or ValueError for a folder that does not hold a whole job."""
        content = json.loads(self._record.read_bytes())
        return Record(**{**content, "units": tuple(content["units"])})

    def write_record(self, record: Record) -> None:
        """Write job.json, from which on the job exists."""
        write_json(self._record, asdict(record))

    def read_launcher(self) -> Launcher:
        """Return launcher.json."""
        content = json.loads(self._launcher.read_bytes())
        return Launcher(**{**content, "prefix": tuple(content["prefix"]), "end": tuple(content["end"])})

    def write_launcher(self, launcher: Launcher) -> None:
        """Write launcher.json."""
        write_json(self._launcher, asdict(launcher))

    def read_end(self) -> Ended | None:
        """Return state.json; None while the job has not ended."""
        try:
            return Ended.from_json(self._state.read_bytes())
        except FileNotFoundError:
            return None

    def write_end(self, ended: Ended) -> None:
        """Remove what only a running job needs, then write state.json, from which on the job is terminal."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for used in (self.bundle, self.environment):
            used.unlink(missing_ok=True)
        write_json(self._state, ended.to_json())

    def read_attempt(self) -> int:
        """Return the number of the current attempt."""
        try:
            return int(self.attempt.read_text())
        except (FileNotFoundError, ValueError):
            return 1

    def is_supervised(self) -> bool:
        """Return whether the supervisor lives. The kernel releases its lock when it ends, however it ends."""
        try:
            with self.lock.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False


def read_tail(path: Path) -> list[str]:
    """Return the last lines of a file, TAIL_BYTES at most; none where it does not exist."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
            return stream.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def write_json(path: Path, content: Mapping[str, object], mode: int = 0o644) -> None:
    """Write a JSON file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream, ensure_ascii=False)
    temporary.replace(path)


def boot_id() -> str:
    """Return the id of the machine's current boot; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def now() -> str:
    """Return the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
