"""The JSON documents of a job's folder. What this program cannot have written raises ValueError."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from backends.exit_codes import ExitCode
from backends.models import JobState
from backends.problem import Problem
from backends.worker_protocol import WORKER

PYTHON_WORKER = (sys.executable, "-I", "-m", WORKER)  # runs the worker with the Python of this program
MOST_UNITS = 100_000
_MOST_SECONDS = 365 * 86400
_YEARS = range(2000, 3000)


@dataclass(frozen=True, kw_only=True)
class Record:
    """The content of job.json. ``created`` is ISO 8601 in UTC, ``timeout`` in seconds.

    The job is ended when more than ``max_failed`` units have failed. With ``shards``, the units are as many shards of
    one scene.
    """

    name: str
    units: tuple[str, ...]
    created: str
    boot: str
    retries: int
    timeout: float
    max_failed: int | None = None
    shards: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return the document."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: bytes) -> Record:
        """Return what the document says."""
        content = _load(data)
        match content:
            case {
                "name": str(name),
                "units": list(units),
                "created": str(created),
                "boot": str(boot),
                "retries": int(retries),
                "timeout": (int() | float()) as timeout,
            } if len(units) <= MOST_UNITS and 0 <= timeout <= _MOST_SECONDS:
                _check_time(created)
                _check_texts(name, boot)
                return cls(
                    name=name,
                    units=_texts(units),
                    created=created,
                    boot=boot,
                    retries=retries,
                    timeout=float(timeout),
                    max_failed=_read_optional_count(content, "max_failed"),
                    shards=_read_optional_count(content, "shards"),
                )
        raise ValueError("job.json has another form")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The content of state.json: how the job ended. ``problem`` is set for a job that failed.

    ``over_limit`` says that it was ended because more units had failed than the job allows.
    """

    state: JobState
    finished: str
    attempts: int = 1
    problem: Problem | None = None
    over_limit: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the JSON document. The fields of the problem are on the same level as the others."""
        return {
            "state": self.state,
            "finished": self.finished,
            "attempts": self.attempts,
            "exit_code": self.problem.exit_code if self.problem else None,
            "reason": self.problem.message if self.problem else None,
            "hint": self.problem.hint if self.problem else None,
            "over_limit": self.over_limit,
        }

    @classmethod
    def from_json(cls, data: bytes) -> Ended:
        """Return what the document says."""
        match {"hint": None, "over_limit": False, **_load(data)}:  # jobs of earlier versions do not have these two
            case {
                "state": str(state),
                "finished": str(finished),
                "attempts": int(attempts),
                "exit_code": (int() | None) as code,
                "reason": (str() | None) as reason,
                "hint": (str() | None) as hint,
                "over_limit": bool(over_limit),
            } if JobState(state).terminal and (code is None or (code and code in set(ExitCode))):
                _check_time(finished)
                _check_texts(reason or "", hint or "")
                problem = Problem(message=reason, hint=hint, exit_code=code) if reason else None
                return cls(
                    state=JobState(state), finished=finished, attempts=attempts, problem=problem, over_limit=over_limit
                )
        raise ValueError("state.json has another form")


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """How the worker is started and ended.

    ``start`` is the command that runs the worker, and ``root`` the job's folder, as the worker sees them. ``prefix``
    comes before it, such as ``docker run …``; ``end`` is a command that removes what the prefix left behind, run after
    each attempt. ``ticket`` is the file for which the job waits for its turn; None for a job that does not wait.
    ``cache`` is a command that serves the shared cache as long as the worker runs.
    """

    start: tuple[str, ...]
    root: str
    prefix: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    ticket: str | None = None
    cache: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the document."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: bytes) -> Launcher:
        """Return what the document says."""
        match {"ticket": None, "cache": [], **_load(data)}:  # jobs of earlier versions do not have these two
            case {
                "start": list(start),
                "root": str(root),
                "prefix": list(prefix),
                "end": list(end),
                "ticket": (str() | None) as ticket,
                "cache": list(cache),
            }:
                return cls(
                    start=_texts(start),
                    root=root,
                    prefix=_texts(prefix),
                    end=_texts(end),
                    ticket=ticket,
                    cache=_texts(cache),
                )
        raise ValueError("launcher.json has another form")


def now() -> str:
    """Return the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _load(data: bytes) -> Mapping[str, object]:
    try:
        content = json.loads(data.decode())  # from bytes, it would guess the encoding
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("it is not an object")  # noqa: TRY004  # one kind of error for all that is wrong
    return content


def _read_optional_count(content: Mapping[str, object], key: str) -> int | None:
    value = content.get(key)
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(f"{key} is not a count")
    return value


def _texts(items: Sequence[object]) -> tuple[str, ...]:
    texts = tuple(item for item in items if isinstance(item, str))
    if texts != tuple(items):
        raise ValueError("a list holds something else than texts")
    _check_texts(*texts)
    return texts


def _check_texts(*texts: str) -> None:
    for text in texts:
        text.encode()  # raises UnicodeEncodeError, a ValueError, for what no terminal and no file can take


def _check_time(text: str) -> None:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or time.year not in _YEARS:
        raise ValueError("a time has no zone, or another year than any job")
