"""The interface that every backend implements."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from backends.diagnostics import Check
from backends.models import Garbage, JobHandle, JobSpec, JobStatus, LogLine
from backends.untrusted.limits import Limits
from backends.worker_protocol import UnitResult

RequestT = TypeVar("RequestT")


@dataclass(frozen=True)
class Plan(Generic[RequestT]):
    """A job as one backend would send it: ``submit`` sends ``request``; ``--dry-run`` prints ``str(request)``.

    ``notes`` are sentences for the user about settings that have no effect.
    """

    spec: JobSpec
    request: RequestT
    notes: tuple[str, ...] = ()


class Backend(abc.ABC, Generic[RequestT]):
    """Runs jobs in one kind of environment.

    Methods that take a handle raise JobNotFoundError if the backend has no such job. Any method may raise BackendError
    if the backend refuses or is not set up, and TransientError if it does not answer.
    """

    name: ClassVar[str]
    poll_s: ClassVar[float] = 1.0  # seconds between two reads by ``statuses``
    limits: Limits = Limits()  # limits on what ``fetch`` downloads; renderer.api sets them from the settings
    notes: tuple[str, ...] = ()  # sentences for the user about the last ``submit``

    @abc.abstractmethod
    def __init__(self, options: Any = None) -> None:
        """Keep the backend's own options, None for the defaults. Does not use the network or the disk."""

    @abc.abstractmethod
    def plan(self, spec: JobSpec) -> Plan[RequestT]:
        """Return what ``submit`` would send, without network or disk. Raises SpecError if it cannot run here."""

    @abc.abstractmethod
    def submit(self, plan: Plan[RequestT]) -> JobHandle:
        """Send the inputs and the request, and return the handle. An error leaves nothing behind."""

    @abc.abstractmethod
    def status(self, handle: JobHandle) -> JobStatus:
        """Return the current state of the job and of each unit."""

    def statuses(self, handle: JobHandle, *, until: float | None = None) -> Iterator[JobStatus]:
        """Yield the status now, and then each time that it may have changed. The iterator never ends.

        At ``until``, a time of time.monotonic(), the status is yielded even if it has not changed.
        """
        while True:
            yield self.status(handle)
            left = math.inf if until is None else max(0.0, until - time.monotonic())
            time.sleep(min(self.poll_s, left))

    @abc.abstractmethod
    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Yield the lines of the log, in order for each unit. With ``follow``, wait for more until the job ends."""

    @abc.abstractmethod
    def cancel(self, handle: JobHandle) -> None:
        """Stop the job; units that have ended keep their results. Do nothing if the job has ended."""

    @abc.abstractmethod
    def fetch(self, handle: JobHandle, into: Path, units: Collection[int] | None = None) -> list[Path]:
        """Copy what the ``units`` stored, with result.json, into ``into/INDEX/``, and return those folders.

        Without ``units``, copy what all stored. ``into`` is an empty folder. Units that stored nothing have no folder.
        The files are not verified here. Raises OutputError before more than ``limits`` is written (see OutputCounter).
        """

    def read_empty(self, handle: JobHandle, units: Collection[int]) -> Mapping[int, UnitResult]:  # noqa: ARG002
        """Return the results of those ``units`` that ended without outputs, where that is quicker than ``fetch``."""
        return {}

    @abc.abstractmethod
    def list(self) -> Iterator[JobStatus]:
        """Yield the jobs that the backend knows, newest first."""

    @abc.abstractmethod
    def delete(self, handle: JobHandle) -> None:
        """Cancel the job if it runs, then remove everything that it owns."""

    @abc.abstractmethod
    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:
        """Yield one check for each thing that a job needs on this backend, as soon as its result is known.

        ``image`` and ``store`` are checked as well, if the backend uses them. Something that is missing gives a failed
        check, not an exception. Nothing is changed.
        """

    @abc.abstractmethod
    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove what jobs left behind and nobody has used for ``older_than``, and yield each item.

        Running jobs keep what they need. With ``dry_run``, yield the items without removing them.
        """
