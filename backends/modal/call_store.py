"""Keeps a record of each call that this machine made, as a JSON file: Modal cannot list calls."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NotRequired, Self, TypedDict

from backends.errors import OutputError
from backends.files import state_folder
from backends.models import JobState
from backends.problem import Problem
from backends.untrusted.state_files import read_state, write_state

_log = logging.getLogger(__name__)


class OutcomeJson(TypedDict):
    """The JSON of a unit's outcome in a record's file. The fields of its problem are on the same level."""

    state: str
    exit_code: int | None
    message: str | None
    hint: str | None
    details: str | None
    from_job: NotRequired[bool]  # not in records of older versions, as the next one
    activity: NotRequired[str | None]
    seconds: float
    attempt: int


@dataclass(frozen=True, kw_only=True)
class UnitOutcome:
    """How one unit ended. ``seconds`` is the time that Modal charges for, as far as the function can measure it.

    ``activity`` is why one shard rendered the whole scene.
    """

    state: JobState
    problem: Problem | None = None
    seconds: float = 0.0
    attempt: int = 1
    activity: str | None = None

    def to_json(self) -> OutcomeJson:
        """Return the document."""
        return {
            "state": self.state,
            "exit_code": self.problem.exit_code if self.problem else None,
            "message": self.problem.message if self.problem else None,
            "hint": self.problem.hint if self.problem else None,
            "details": self.problem.details if self.problem else None,
            "from_job": self.problem.from_job if self.problem else False,
            "seconds": self.seconds,
            "attempt": self.attempt,
            "activity": self.activity,
        }

    @classmethod
    def from_json(cls, content: OutcomeJson) -> Self:
        """Return the outcome that the document describes."""
        problem = None
        if content["message"] is not None:
            problem = Problem(
                message=content["message"],
                hint=content["hint"],
                details=content["details"],
                exit_code=content["exit_code"],
                from_job=content.get("from_job", False),
            )
        state = JobState(content["state"])
        return cls(
            state=state,
            problem=problem,
            seconds=content["seconds"],
            attempt=content["attempt"],
            activity=content.get("activity"),
        )


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """What is known about one call of the function. Times are ISO 8601 in UTC.

    ``folder`` is the name of the job's folder on both volumes. Jobs of older versions have none; they have ``inputs``,
    paths on the volume. With ``shards``, the one input of the call renders the unit in so many shards, by calls of its
    own (see backends.modal.observe.shards). ``outcomes`` are the results, and ``started`` the times of the start, that
    were seen so far, by the unit's index.
    """

    call: str
    app: str
    environment: str | None
    name: str
    units: tuple[str, ...]
    created: str
    gpus: tuple[str, ...]
    cpu: float
    memory_mib: int
    folder: str = ""
    inputs: tuple[str, ...] = ()
    shards: int | None = None
    cancelled: bool = False
    finished: str | None = None
    outcomes: Mapping[int, UnitOutcome] = field(default_factory=dict)
    started: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def from_id(cls, app: str, call: str, environment: str | None, units: int) -> CallRecord:
        """Return a record for a call that another machine made: only its id and its number of units are known."""
        return cls(
            call=call,
            app=app,
            environment=environment,
            name=call,
            units=tuple(str(index) for index in range(units)),
            created=now(),
            gpus=(),
            cpu=0,
            memory_mib=0,
        )

    @property
    def outputs(self) -> str:
        """The folder on the volume ``renderer`` that holds the outputs."""
        return f"jobs/{self.folder or self.call}"

    @property
    def open(self) -> list[int]:
        """The indexes of the units that have not ended, as far as this machine knows."""
        return [index for index in range(len(self.units)) if index not in self.outcomes]

    def with_news(self, outcomes: Mapping[int, UnitOutcome], started: Mapping[int, str] | None = None) -> CallRecord:
        """Return a copy of the record with new outcomes and start times. With all outcomes, the job is finished."""
        known = {**self.outcomes, **outcomes}
        for unit, outcome in outcomes.items():
            _log.debug("%s: unit %d %s", self.call, unit, outcome.state)
        finished = self.finished or (now() if len(known) == len(self.units) else None)
        return replace(self, outcomes=known, started={**(started or {}), **self.started}, finished=finished)

    def to_json(self) -> str:
        """Return the text of the record's file."""
        outcomes = {index: outcome.to_json() for index, outcome in self.outcomes.items()}
        return json.dumps({**asdict(self), "outcomes": outcomes}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> CallRecord:
        """Return the record in the text. Raises ValueError, TypeError or KeyError for any other text."""
        content = json.loads(text)
        outcomes = {int(index): UnitOutcome.from_json(item) for index, item in content["outcomes"].items()}
        started = {int(index): moment for index, moment in content["started"].items()}
        tuples = {key: tuple(content[key]) for key in ("units", "gpus", "inputs")}
        return cls(**{**content, **tuples, "outcomes": outcomes, "started": started})


class CallStore:
    """The folder with one record for each call."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder.resolve() if folder else state_folder("modal")

    def check_writable(self) -> None:
        """Create the folder. Raises OutputError, before anything is sent."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._write_error(error) from error

    def save(self, record: CallRecord) -> None:
        """Write a record, whole or not at all. Raises OutputError."""
        self.check_writable()
        path = self._path(record.call)
        try:
            write_state(path, record.to_json().encode())
        except OSError as error:
            raise self._write_error(error) from error

    def load(self, call: str) -> CallRecord | None:
        """Return a call's record; None where this machine has none."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            return CallRecord.from_json(read_state(self._path(call)))
        return None

    def remove(self, call: str) -> None:
        """Remove a call's record."""
        self._path(call).unlink(missing_ok=True)

    def newest_first(self) -> Iterator[CallRecord]:
        """Yield every record."""
        found = [self.load(path.stem) for path in self.folder.glob("fc-*.json")]
        yield from sorted((record for record in found if record), key=lambda record: record.created, reverse=True)

    def _path(self, call: str) -> Path:
        return self.folder / f"{call}.json"

    def _write_error(self, error: OSError) -> OutputError:
        message = f"cannot write the job's record to {self.folder}: {error.strerror}"
        return OutputError(message, hint="set state_dir in [modal]")


def now() -> str:
    """Return the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
