"""Remembers the calls that this machine made, since Modal has no list of them: one JSON file for each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends.errors import OutputError
from backends.files import state_folder
from backends.models import JobState


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one unit ended. ``seconds`` is what Modal charges for, as far as the function can tell."""

    state: JobState
    exit_code: int | None = None
    message: str | None = None
    hint: str | None = None
    details: str | None = None
    seconds: float = 0.0
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Record:
    """One call. ``inputs`` are paths on the volume.

    ``outcomes`` and ``started`` (ISO 8601) are what has been seen so far, by index of the unit.
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
    inputs: tuple[str, ...] = ()
    cancelled: bool = False
    finished: str | None = None
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    started: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def unknown(cls, app: str, call: str, environment: str | None, units: int) -> Record:
        """Describe a call of which nothing but its id and the number of its inputs is known."""
        names = tuple(str(index) for index in range(units))
        return cls(
            call=call,
            app=app,
            environment=environment,
            name=call,
            units=names,
            created=now(),
            gpus=(),
            cpu=0,
            memory_mib=0,
        )

    @property
    def open(self) -> list[int]:
        """The units whose end nobody has seen."""
        return [index for index in range(len(self.units)) if index not in self.outcomes]

    def to_json(self) -> str:
        """Write it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """Read it. Raises ValueError, TypeError or KeyError for anything else."""
        content: dict[str, Any] = json.loads(text)
        outcomes = {
            int(index): Outcome(**{**item, "state": JobState(item["state"])})
            for index, item in content["outcomes"].items()
        }
        started = {int(index): moment for index, moment in content["started"].items()}
        tuples = {key: tuple(content[key]) for key in ("units", "gpus", "inputs")}
        return cls(**{**content, **tuples, "outcomes": outcomes, "started": started})


class Records:
    """The folder of records."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder or state_folder("modal")

    def check_writable(self) -> None:
        """Make the folder. Raises OutputError before anything is sent."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            self._refuse(error)

    def save(self, record: Record) -> None:
        """Keep a record, whole or not at all."""
        self.check_writable()
        path = self._path(record.call)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.write_text(record.to_json(), "utf-8")
            temporary.replace(path)
        except OSError as error:
            self._refuse(error)

    def load(self, call: str) -> Record | None:
        """Find a record; None where this machine has none."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            return Record.from_json(self._path(call).read_bytes())
        return None

    def remove(self, call: str) -> None:
        """Forget a call."""
        self._path(call).unlink(missing_ok=True)

    def newest_first(self) -> Iterator[Record]:
        """Give every record."""
        found = [self.load(path.stem) for path in self.folder.glob("fc-*.json")]
        yield from sorted((record for record in found if record), key=lambda record: record.created, reverse=True)

    def _path(self, call: str) -> Path:
        return self.folder / f"{call}.json"

    def _refuse(self, error: OSError) -> None:
        raise OutputError(
            f"cannot remember the job in {self.folder}: {error.strerror}", hint="set state_dir in [modal]"
        ) from error


def now() -> str:
    """Give the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def merged(record: Record, outcomes: Mapping[int, Outcome], started: Mapping[int, str]) -> Record:
    """Add what was seen."""
    known = {**record.outcomes, **outcomes}
    finished = record.finished or (now() if len(known) == len(record.units) else None)
    return replace(record, outcomes=known, started={**started, **record.started}, finished=finished)
