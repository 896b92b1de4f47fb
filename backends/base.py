"""The interface that every backend implements."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from backends.diagnostics import Check
from backends.models import Garbage, JobHandle, JobSpec, JobStatus, LogLine

RequestT = TypeVar("RequestT")


@dataclass(frozen=True)
class Plan(Generic[RequestT]):
    """A job as one backend would send it: ``submit`` sends ``request``; ``str(request)`` is what --dry-run prints.

    ``notes`` are sentences for the user, about what will be different from what was asked.
    """

    spec: JobSpec
    request: RequestT
    notes: tuple[str, ...] = ()


class Backend(abc.ABC, Generic[RequestT]):
    """Runs jobs somewhere. Methods that take a handle raise JobNotFoundError when it names no job there."""

    name: ClassVar[str]
    poll_s: ClassVar[float] = 1.0  # how often ``statuses`` asks

    @abc.abstractmethod
    def __init__(self, options: Any = None) -> None:
        """Take the backend's own options: its model's instance, or None for the defaults. Touches nothing."""

    @abc.abstractmethod
    def plan(self, spec: JobSpec) -> Plan[RequestT]:
        """Say in this backend's terms what would be sent: no network, no disk. SpecError if it cannot run here."""

    @abc.abstractmethod
    def submit(self, plan: Plan[RequestT]) -> JobHandle:
        """Send the inputs and the request. On return the job has its id; on an error nothing is left behind."""

    @abc.abstractmethod
    def status(self, handle: JobHandle) -> JobStatus:
        """Tell the state now, of the job and of each unit, with the reason in words."""

    def statuses(self, handle: JobHandle, *, until: float | None = None) -> Iterator[JobStatus]:
        """Yield the status now, and again whenever it may have changed, without end.

        At ``until``, a time of time.monotonic(), it is yielded whatever happened.
        """
        while True:
            yield self.status(handle)
            left = math.inf if until is None else max(0.0, until - time.monotonic())
            time.sleep(min(self.poll_s, left))

    @abc.abstractmethod
    def logs(self, handle: JobHandle, *, follow: bool = False) -> Iterator[LogLine]:
        """Yield whole lines, each unit's in order; with ``follow`` until the job is terminal."""

    @abc.abstractmethod
    def cancel(self, handle: JobHandle) -> None:
        """Stop the job; units that are done stay done. Idempotent, and no error on a job that has ended."""

    @abc.abstractmethod
    def fetch(self, handle: JobHandle, into: Path) -> list[Path]:
        """Copy what the units stored into ``into/INDEX/`` (result.json among it) and name those folders.

        ``into`` is an empty folder; units that stored nothing are left out. Nothing is verified here.
        """

    @abc.abstractmethod
    def list(self) -> Iterator[JobStatus]:
        """Yield the jobs known there, newest first."""

    @abc.abstractmethod
    def delete(self, handle: JobHandle) -> None:
        """Remove everything that the job owns. A job that still runs is cancelled first."""

    @abc.abstractmethod
    def doctor(self, *, image: str | None = None, store: str | None = None) -> Iterator[Check]:
        """Yield one check for each thing that a job needs there, as soon as its result is known.

        ``image`` and ``store`` are checked too, where the backend uses them. What is missing is a failed check, not an
        exception. Nothing is changed.
        """

    @abc.abstractmethod
    def collect_garbage(self, *, older_than: timedelta, dry_run: bool = False) -> Iterator[Garbage]:
        """Remove what jobs left behind, where nothing has used it for ``older_than``, and yield each item.

        Jobs that still run keep what they need. With ``dry_run`` nothing is removed.
        """
