"""What a job is, in words that every backend understands."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from backends.errors import SpecError

NAME_MAX = 50  # a Kubernetes Job's pods get a suffix of 13, and a label holds 63


class JobState(enum.StrEnum):
    """Where a job, or one unit of it, is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will happen."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The inputs: a deterministic zstd-compressed tar. ``digest`` is the sha256 of ``data`` in hex."""

    digest: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one unit may use. ``None`` leaves the choice to the backend; ``gpu`` is in the grammar of backends.gpus."""

    cpu: float | None = None
    memory_mib: int | None = None
    gpu: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """A job as every backend receives it.

    ``name`` is a DNS label of at most NAME_MAX characters. ``units`` names the parts that run on their own, in the
    order of their index. ``payload`` is the worker's JSON document; backends carry it and do not read it. ``timeout``
    bounds one try of one unit; ``retries`` counts the tries after the first, for failures that are not the user's.
    ``env`` reaches the user's code. ``store`` is the URI where inputs and outputs lie. ``attached`` says that a client
    stays until the end and collects the outputs.
    """

    name: str
    units: tuple[str, ...]
    payload: str
    bundle: Bundle
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    timeout: timedelta = timedelta(hours=1)
    retries: int = 0
    store: str | None = None
    attached: bool = True


@dataclass(frozen=True)
class JobHandle:
    """The address of a job: ``local://id``, ``k8s://context/namespace/name``, ``modal://app/fc-id``.

    ``str`` and ``parse`` are inverse to each other, whatever characters a part holds.
    """

    backend: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.backend}://" + "/".join(quote(part, safe="") for part in self.parts)

    @classmethod
    def parse(cls, text: str) -> JobHandle:
        """Read a handle; a bare id is one of this machine. Raises SpecError."""
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
    """One unit of a job: ``progress`` in percent, ``message`` a sentence when there is something to say.

    ``details`` are the user's own lines of a traceback, or what TeX said, where the backend can tell.
    """

    name: str
    state: JobState
    progress: float | None = None
    message: str | None = None
    hint: str | None = None
    details: str | None = None
    exit_code: int | None = None
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A job now. ``reason`` says in words why it waits or failed, ``hint`` the next thing to do. Times are UTC.

    ``notes`` are further sentences, such as where to look at it in a browser and what it costs.
    """

    handle: JobHandle
    name: str
    state: JobState
    units: tuple[UnitStatus, ...]
    reason: str | None = None
    hint: str | None = None
    exit_code: int | None = None
    created: datetime | None = None
    finished: datetime | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something that jobs left behind and that is older than was asked: ``path`` there, ``size`` in bytes.

    ``removed`` is false after a dry run, and for what a new job has begun to use in the meantime.
    """

    path: str
    size: int
    age: timedelta
    removed: bool = False


@dataclass(frozen=True)
class LogLine:
    """One whole line that a unit printed, without its newline. ``unit`` is the index."""

    unit: int
    text: str
