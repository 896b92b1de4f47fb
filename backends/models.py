"""Types that describe a job: what to run, its handle, its state, its log lines, and what it left behind."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from backends.errors import SpecError
from backends.exit_codes import ExitCode
from backends.problem import Problem

if TYPE_CHECKING:
    from backends.webhooks.spec import Webhook

NAME_MAX = 50  # Kubernetes appends up to 13 characters for a Job's pods, and a label holds 63


class JobState(enum.StrEnum):
    """The state of a job, or of one unit."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Return whether the state is final."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The archive of the project's files: a deterministic tar, compressed with gzip.

    ``digest`` is the SHA-256 of the tar in hexadecimal.
    """

    digest: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one unit may use: ``cpu`` in cores, ``gpu`` in the grammar of backends.gpus.request.

    None leaves the choice to the backend.
    """

    cpu: float | None = None
    memory_mib: int | None = None
    gpu: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """A job as every backend receives it.

    ``name`` is a DNS label of at most NAME_MAX characters. ``units`` are the names of the units, in the order of their
    indexes. ``payload`` is a JSON document for the worker; backends carry it and do not read it. ``env`` is set for the
    user's code. ``timeout`` limits each attempt of each unit. ``retries`` is the number of further attempts after an
    infrastructure failure; errors in the user's code are not retried. ``packages`` are lines of a requirements file:
    the worker installs them, unless the backend has done that before. ``store`` is the URI of the store for inputs and
    outputs, ``cache`` that of the shared cache of chunks. ``engine`` says that the job renders scenes, not a script.
    ``foreground`` is true when the client waits for the end and downloads the outputs. ``untrusted`` asks for isolation
    from network, credentials, the host's files and other jobs; a backend without it refuses the job. The job is ended
    when more than ``max_failed`` units have failed; without it, all units run. With ``shards``, that many processes
    render the one unit together: backends run them as they would run as many units, and show one. ``is_map`` is true
    for a job whose units are inputs: there may be thousands of them. ``webhook`` is where a message goes when the job
    has ended, on backends whose jobs have a supervisor.
    """

    name: str
    units: tuple[str, ...]
    payload: str
    bundle: Bundle
    image: str | None = None
    packages: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    timeout: timedelta = timedelta(hours=1)
    retries: int = 0
    store: str | None = None
    cache: str | None = None
    engine: bool = True
    foreground: bool = True
    untrusted: bool = False
    max_failed: int | None = None
    is_map: bool = False
    shards: int | None = None
    webhook: Webhook | None = None

    @property
    def processes(self) -> int:
        """How many units the worker has: one for each shard."""
        return self.shards or len(self.units)


@dataclass(frozen=True)
class JobHandle:
    """The URI that names a job: ``local://id``, ``k8s://context/namespace/name``, ``modal://app/fc-id``.

    ``parse(str(handle))`` returns an equal handle, whatever characters its parts contain.
    """

    backend: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.backend}://" + "/".join(quote(part, safe="") for part in self.parts)

    @classmethod
    def parse(cls, text: str) -> JobHandle:
        """Return the handle that ``text`` spells; an id without a scheme names a local job. Raises SpecError."""
        backend, separator, path = text.partition("://")
        if not separator:
            backend, path = "local", text
        parts = tuple(unquote(part) for part in path.split("/"))
        if not re.fullmatch(r"[a-z0-9]+", backend) or not all(parts):
            raise SpecError(
                f"{text!r} is not a job handle",
                hint="a handle looks like local://hello-1f3a; `renderer list` shows yours",
            )
        return cls(backend, parts)


@dataclass(frozen=True, kw_only=True)
class UnitStatus:
    """The state of one unit, with its ``progress`` in percent.

    ``problem`` is why the unit failed or waits. ``activity`` is what a running unit last reported (openjd_status),
    or why one shard rendered a whole scene.
    """

    name: str
    state: JobState
    progress: float | None = None
    activity: str | None = None
    problem: Problem | None = None
    attempt: int = 1

    @property
    def message(self) -> str | None:
        """One sentence for the user: the unit's problem or, without one, its activity."""
        return self.problem.message if self.problem else self.activity

    @property
    def hint(self) -> str | None:
        """What to do about the problem."""
        return self.problem.hint if self.problem else None

    @property
    def from_job(self) -> bool:
        """Whether the job itself wrote the message, the hint and the details."""
        return self.problem is not None and self.problem.from_job

    @property
    def details(self) -> str | None:
        """The user's own lines of a traceback, or TeX's message, if the backend knows them."""
        return self.problem.details if self.problem else None

    @property
    def exit_code(self) -> int | None:
        """The worker's exit code for this unit; None while it has not ended."""
        return _exit_code(self.state, self.problem)


@dataclass(frozen=True)
class UnitCounts:
    """How many units a job has, how many of them have ended, and how many of these have failed."""

    total: int
    ended: int
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a job and of its units. Times are in UTC.

    ``problem`` is why the job failed or why it waits. ``notes`` are further sentences, such as the job's address in a
    browser and what it costs. In a list of jobs, a backend may give the counts in ``summary`` instead of the units.
    ``labels`` are those that the job was submitted with, at a backend that keeps labels.
    """

    handle: JobHandle
    name: str
    state: JobState
    units: tuple[UnitStatus, ...]
    problem: Problem | None = None
    created: datetime | None = None
    finished: datetime | None = None
    notes: tuple[str, ...] = ()
    summary: UnitCounts | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> UnitCounts:
        """How many units there are, how many have ended, and how many have failed."""
        return self.summary or UnitCounts(
            total=len(self.units),
            ended=sum(unit.state.terminal for unit in self.units),
            failed=sum(unit.state is JobState.FAILED for unit in self.units),
        )

    @property
    def reason(self) -> str | None:
        """Why the job failed or why it waits, in one sentence."""
        return self.problem.message if self.problem else None

    @property
    def hint(self) -> str | None:
        """What to do next: advice of renderer, never the words of the job, which its units may have."""
        if self.problem is None:
            return None
        return f"renderer logs {self.handle}" if self.problem.from_job else self.problem.hint

    @property
    def exit_code(self) -> int | None:
        """The exit code of the job; None while it has not ended."""
        return _exit_code(self.state, self.problem)


def _exit_code(state: JobState, problem: Problem | None) -> int | None:
    if problem and problem.exit_code is not None:
        return problem.exit_code
    return {JobState.SUCCEEDED: ExitCode.OK, JobState.CANCELLED: ExitCode.CANCELLED}.get(state)


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something old that jobs left behind: its ``path`` in the backend, its ``size`` in bytes, its ``age``.

    ``removed`` is false after a dry run, or if a new job has begun to use it in the meantime.
    """

    path: str
    size: int
    age: timedelta
    removed: bool = False


@dataclass(frozen=True)
class LogLine:
    """One complete line that a unit printed, without its newline. ``unit`` is the unit's index."""

    unit: int
    text: str
