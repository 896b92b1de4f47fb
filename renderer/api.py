"""The library's verbs; the command line calls these and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backends import Backend, JobHandle, JobStatus, LogLine, Plan, get_backend
from backends.errors import TransientError
from renderer import config, fetch, spec
from renderer.settings import Settings

PATIENCE_S = 60.0  # how long a backend may not answer before waiting for a job is given up


@dataclass(frozen=True)
class Job:
    """A submitted job. The handle finds it again from any later shell or program."""

    handle: JobHandle
    backend: Backend[Any]

    def status(self) -> JobStatus:
        """Tell the state now."""
        return self.backend.status(self.handle)

    def logs(self, *, follow: bool = False) -> Iterator[LogLine]:
        """Yield the lines that the job printed; with ``follow`` until it has ended."""
        return self.backend.logs(self.handle, follow=follow)

    def wait(
        self, timeout: float | None = None, *, on_status: Callable[[JobStatus], object] | None = None
    ) -> JobStatus:
        """Wait until the job has ended, and tell how; a failed job is no exception here.

        ``on_status`` sees every status on the way. Raises TimeoutError after ``timeout`` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        answered = time.monotonic()
        statuses = self.backend.statuses(self.handle, until=end)
        while True:
            try:
                status = next(statuses)
                answered = time.monotonic()
            except TransientError:
                if time.monotonic() - answered > PATIENCE_S:
                    raise
                time.sleep(self.backend.poll_s)
                statuses = self.backend.statuses(self.handle, until=end)
            else:
                if on_status:
                    on_status(status)
                if status.state.terminal:
                    return status
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{self.handle} has not ended after {timeout:g} s")

    def fetch(self, into: str | Path = "renders") -> list[Path]:
        """Bring the outputs into the folder, verified, and name them; a failed job's too, as far as they go."""
        return fetch.collect(self.backend, self.handle, Path(into))

    def cancel(self) -> None:
        """Stop the job. No error when it has ended."""
        self.backend.cancel(self.handle)

    def delete(self) -> None:
        """Remove the job and what it stored; outputs that were fetched stay."""
        self.backend.delete(self.handle)


@dataclass(frozen=True)
class Planned:
    """A job that could be submitted: what was packed, and what the backend would send."""

    prepared: spec.Prepared
    plan: Plan[Any]
    backend: Backend[Any]

    def submit(self) -> Job:
        """Send it."""
        return Job(self.backend.submit(self.plan), self.backend)


def submit(
    path: str | Path,
    *scenes: str,
    all_scenes: bool = False,
    arguments: tuple[str, ...] = (),
    kind: Literal["auto", "manim", "script"] = "auto",
    root: str | Path | None = None,
    name: str | None = None,
    **settings: Any,
) -> Job:
    """Submit scenes of a Manim file, or a Python script with its ``arguments``.

    ``settings`` are those of renderer.settings.Settings by name (``backend="k8s"``, ``quality="h"``,
    ``timeout="10m"``), over those of the configuration. Raises SpecError for a wrong request, before anything is sent,
    and BackendError when the backend refuses.
    """
    wanted = spec.RenderSpec(
        path=Path(path),
        scenes=scenes,
        every=all_scenes,
        arguments=arguments,
        kind=kind,
        root=None if root is None else Path(root),
        name=name,
    )
    return plan(wanted, config.load(settings, source="argument").settings).submit()


def plan(wanted: spec.RenderSpec, settings: Settings) -> Planned:
    """Do all of submit that needs no sending."""
    backend = _backend(settings.backend, settings)
    prepared = spec.prepare(wanted, settings)
    return Planned(prepared, backend.plan(prepared.job), backend)


def open_job(handle: str | JobHandle, settings: Settings | None = None) -> Job:
    """Find a job again by its handle. Raises SpecError for what is no handle."""
    parsed = JobHandle.parse(handle) if isinstance(handle, str) else handle
    return Job(parsed, _backend(parsed.backend, settings or config.load({}).settings))


def jobs(backend: str | None = None, settings: Settings | None = None) -> Iterator[JobStatus]:
    """List the jobs that a backend knows, newest first."""
    known = settings or config.load({}).settings
    return _backend(backend or known.backend, known).list()


def _backend(name: str, settings: Settings) -> Backend[Any]:
    return get_backend(name, getattr(settings, name, None))
