"""The folder of a local job, and what can be read from it.

ID/job.json          name, units, when it was created, on which boot of the machine
ID/task.json         the worker's task
ID/bundle.tar.zst    the inputs, removed when the job has ended
ID/environment.json  variables for the user's code; readable by its owner alone, removed when the job has ended
ID/launcher.json     how the worker is started, where it runs in a container
ID/lock              locked by the supervisor while it lives
ID/pid               the supervisor's process id
ID/attempt           the number of the present try
ID/cancel            there once somebody asked to cancel
ID/state.json        how it ended; written last
ID/worker.log        what the worker itself said
ID/scratch/          the worker's temporary files, removed when the job has ended
ID/units/INDEX/      log.txt, result.json and files/ of each unit
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends.models import JobState
from backends.worker_protocol import LOG

TAIL = 65536


@dataclass(frozen=True, kw_only=True)
class Record:
    """The content of job.json."""

    name: str
    units: tuple[str, ...]
    created: str
    boot: str
    retries: int
    timeout: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The content of state.json: how the job ended, and why where no unit says it."""

    state: JobState
    finished: str
    attempts: int = 1
    exit_code: int = 0
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """How the worker is started: ``prefix`` before its command, Python and the job's folder as it sees them.

    ``end`` removes what the prefix left behind; it runs after each try.
    """

    prefix: tuple[str, ...] = ()
    python: str = sys.executable
    root: str
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
        self.scratch = path / "scratch"
        self.units = path / "units"

    def unit(self, index: int) -> Path:
        """Give the folder of one unit."""
        return self.units / str(index)

    def log(self, index: int) -> Path:
        """Give the log of one unit."""
        return self.unit(index) / LOG

    def record(self) -> Record:
        """Read job.json. Raises OSError or ValueError for a folder that is not a whole job."""
        content = json.loads((self.path / "job.json").read_bytes())
        return Record(**{**content, "units": tuple(content["units"])})

    def write_record(self, record: Record) -> None:
        """Write job.json."""
        write_json(self.path / "job.json", asdict(record))

    def launcher(self) -> Launcher:
        """Read launcher.json; without one the worker is started as it is."""
        try:
            content = json.loads((self.path / "launcher.json").read_bytes())
        except FileNotFoundError:
            return Launcher(root=str(self.path))
        return Launcher(**{**content, "prefix": tuple(content["prefix"]), "end": tuple(content["end"])})

    def write_launcher(self, launcher: Launcher) -> None:
        """Write launcher.json."""
        write_json(self.path / "launcher.json", asdict(launcher))

    def ended(self) -> Ended | None:
        """Read state.json; None while there is none."""
        try:
            content = json.loads((self.path / "state.json").read_bytes())
        except FileNotFoundError:
            return None
        return Ended(**{**content, "state": JobState(content["state"])})

    def end(self, ended: Ended) -> None:
        """Remove what only a running job needs, then write state.json; from then on the job is terminal."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for used in (self.bundle, self.environment):
            used.unlink(missing_ok=True)
        write_json(self.path / "state.json", asdict(ended))

    def supervised(self) -> bool:
        """Tell whether the supervisor lives: the kernel drops its lock when it ends, however it ends."""
        try:
            with self.lock.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def tail(self, index: int) -> list[str]:
        """Read the last lines of a unit's log."""
        return read_tail(self.log(index))


def read_tail(path: Path, size: int = TAIL) -> list[str]:
    """Read the last lines of a file; none where it does not exist."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - size, 0))
            return stream.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def write_json(path: Path, content: Mapping[str, Any], mode: int = 0o644) -> None:
    """Write a whole file or none."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream, ensure_ascii=False)
    temporary.replace(path)


def boot_id() -> str:
    """Name the present boot of this machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def now() -> str:
    """Give the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
