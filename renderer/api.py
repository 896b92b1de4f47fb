"""The functions of the library: submit, find, watch, download and remove jobs. The command line uses them as well."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends import BACKENDS, Backend, JobHandle, JobState, JobStatus, LogLine, Plan, UnitStatus, get_backend
from backends.errors import OutputError, SpecError, TransientError
from backends.untrusted import Limits
from backends.untrusted.text import show_line
from backends.worker_protocol import UnitResult
from renderer import config, fetch, output_folder, spec, voice_store
from renderer.maps import requests
from renderer.model import PreviewRequest
from renderer.project.left_out import explain_missing_files
from renderer.settings import Settings
from renderer.telemetry import tracing
from renderer.units.choice import KindChoice
from renderer.units.film_lengths import remember_lengths
from renderer.untrusted import check_untrusted

ANSWER_TIMEOUT_S = 60.0  # how long a backend may fail to answer before `wait` gives up

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A submitted job. Its handle finds it again from any later shell or program."""

    handle: JobHandle
    backend: Backend[Any]

    def status(self) -> JobStatus:
        """Return the current state of the job and of each unit."""
        with _timed("status", self.handle):
            return self._explain(self.backend.status(self.handle))

    def logs(self, *, follow: bool = False) -> Iterator[LogLine]:
        """Yield the lines that the job has printed; with ``follow`` also new ones, until the job has ended."""
        return self.backend.logs(self.handle, follow=follow)

    def wait(
        self, timeout: float | None = None, *, on_status: Callable[[JobStatus], object] | None = None
    ) -> JobStatus:
        """Wait until the job has ended and return its last status, whether it succeeded or failed.

        ``on_status`` is called with each status on the way. Raises TimeoutError after ``timeout`` seconds.
        """
        for status in self.statuses(timeout):
            if on_status:
                on_status(status)
        return status

    def statuses(self, timeout: float | None = None) -> Iterator[JobStatus]:
        """Yield the status each time that it may have changed, until the job has ended.

        Raises TimeoutError after ``timeout`` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        answered = time.monotonic()
        state, running = None, None
        statuses = self.backend.statuses(self.handle, until=end)
        while True:
            try:
                status = self._explain(next(statuses))
                answered = time.monotonic()
            except TransientError as error:
                if time.monotonic() - answered > ANSWER_TIMEOUT_S:
                    raise
                _log.info("asking again for the status of %s: %s", self.handle, error)
                time.sleep(self.backend.poll_s)
                statuses = self.backend.statuses(self.handle, until=end)
            else:
                if status.state is not state:
                    state = status.state
                    _log.debug("%s is %s", self.handle, state)
                    if state is JobState.RUNNING:
                        running = datetime.now(UTC)
                if status.state.terminal:
                    tracing.record_run(status, running)
                yield status
                if status.state.terminal:
                    return
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{self.handle} has not ended after {timeout:g} s")

    def _explain(self, status: JobStatus) -> JobStatus:
        """Return the status; if a unit misses files that were not uploaded, the hint says so."""
        failed = any(unit.state is JobState.FAILED for unit in status.units)
        root = output_folder.find_root(str(self.handle)) if failed else None
        if root is None:
            return status
        file = Path(output_folder.find_source(str(self.handle)))
        with_links = self.handle.backend != "local"  # an untrusted local job had none: the note of its submit said so
        units = (_explain_missing(unit, root, file, with_links=with_links) for unit in status.units)
        return replace(status, units=tuple(units))

    def fetch(self, into: str | Path = "renders", *, overwrite: bool = False) -> list[Path]:
        """Download the outputs into the folder, verify them and return their paths.

        A job that has failed may have outputs as well. Raises OutputError for a file that is missing or damaged, and
        for one that would replace a file that is not from an earlier job of the same scene, unless ``overwrite``.
        """
        known = requests.find(self.handle)
        with _timed("fetch", self.handle), tracing.span("fetch", self.handle):
            return fetch.download(
                self.backend,
                self.handle,
                Path(into),
                overwrite=overwrite,
                inputs=known.inputs if known else (),
                earlier=known.earlier if known else (),
                on_results=self._remember_lengths,
            )

    def _remember_lengths(self, results: Collection[UnitResult]) -> None:
        source = Path(output_folder.find_source(str(self.handle)))
        if source.is_absolute():  # otherwise the job was submitted on another machine
            remember_lengths(source, results)

    def retry(self, **settings: Any) -> Job:
        """Run the scenes or inputs that failed or were cancelled again, as a new job, and return that.

        The file is taken as it is now. ``settings`` win over those of the first submit. Raises SpecError for a job that
        has not ended or has no failures, and for one that was submitted on another machine.
        """
        return plan_retry(self, settings, source="argument").submit()

    def cancel(self) -> None:
        """Stop the job; a job that has ended stays as it is."""
        with _timed("cancel", self.handle):
            self.backend.cancel(self.handle)

    def delete(self) -> None:
        """Remove the job and all that it stored; downloaded files stay."""
        with _timed("delete", self.handle):
            self.backend.delete(self.handle)
            output_folder.forget_source(str(self.handle))
            voice_store.forget_job(str(self.handle))
            requests.forget(self.handle)


@dataclass(frozen=True)
class PlannedJob:
    """A job that can be submitted: what was asked for and packed, and what the backend would send.

    ``folder`` is the current folder of that time, which can be the root of the job.
    """

    wanted: spec.RenderSpec
    loaded: config.Config
    prepared: spec.PreparedJob
    plan: Plan[Any]
    backend: Backend[Any]
    earlier: tuple[str, ...] = ()
    folder: Path = field(default_factory=Path.cwd)

    @property
    def path(self) -> Path:
        """The file to run."""
        return self.wanted.path

    def submit(self) -> Job:
        """Send the inputs and start the job. Find out first how many shards it has, if that is still to be chosen."""
        if self.prepared.needs_length:
            return self.choose_shards().submit()
        with _timed("submit", self.prepared.job.name), tracing.span("submit") as name_job:
            job = Job(self.backend.submit(self.plan), self.backend)
            name_job(job.handle)
        self.remember(job.handle)
        return job

    def remember(self, handle: JobHandle) -> None:
        """Keep on this machine what later commands need to know of the job."""
        output_folder.remember_source(str(handle), self.path, self.prepared.root)
        if not self.prepared.job.untrusted:
            voice_store.remember_project(str(handle), self.prepared.root)
        inputs = self.prepared.inputs
        requests.save(handle, requests.make_request(self.wanted, self.loaded, inputs, earlier=self.earlier))

    def choose_shards(self) -> PlannedJob:
        """Return the plan with the number of shards for ``shards = "auto"``.

        If the length of the film is not known, a job steps the scene, where it would be rendered, and is deleted. If it
        fails, the plan is that for one process.
        """
        if not self.prepared.needs_length:
            return self
        result, why = self._step()
        if result:
            remember_lengths(self.path, (result,))
            chosen = self._plan_again(self.wanted, self.loaded)
            if not chosen.prepared.needs_length:
                return replace(chosen, earlier=self.earlier)
        note = f"shards: 1, because {why}"
        prepared = replace(
            self.prepared,
            needs_length=False,
            notes=tuple(note if old == spec.NEEDS_LENGTH else old for old in self.prepared.notes),
        )
        return replace(self, prepared=prepared)

    def _plan_again(self, wanted: spec.RenderSpec, loaded: config.Config) -> PlannedJob:
        with chdir(self.folder):
            return plan(wanted, loaded)

    def _step(self) -> tuple[UnitResult | None, str]:
        """Step the scene by a job; return its result, or why there is none."""
        request = PreviewRequest(at=(0.0,))
        wanted = replace(self.wanted, preview=request, foreground=True)
        settings = self.loaded.settings.model_copy(update={"gpu": "none", "encoder": "auto", "webhook": None})
        job = self._plan_again(wanted, replace(self.loaded, settings=settings)).submit()
        try:
            status = job.wait()
            if status.state is not JobState.SUCCEEDED:
                reason = next((unit.message for unit in status.units if unit.message), status.reason)
                return None, f"it failed to step the scene: {show_line(reason or str(status.state))}"
            with tempfile.TemporaryDirectory(prefix="renderer-") as folder:
                (unit,) = job.backend.fetch(job.handle, Path(folder))
                return fetch.read_result(unit, status.units[0].name), "the length of the film is still not known"
        except (OutputError, TransientError) as error:
            return None, f"the result of stepping the scene cannot be read: {error}"
        finally:
            job.delete()


def submit(
    path: str | Path,
    *scenes: str,
    all_scenes: bool = False,
    arguments: tuple[str, ...] = (),
    kind: KindChoice = "auto",
    root: str | Path | None = None,
    name: str | None = None,
    **settings: Any,
) -> Job:
    """Submit scenes of a Manim file, or a Python script with its ``arguments``.

    ``settings`` are the fields of renderer.settings.Settings by name (``backend="k8s"``, ``quality="h"``,
    ``timeout="10m"``); they win over the configuration. Raises SpecError for a wrong request, before anything is sent,
    and BackendError when the backend refuses the job.
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
    return plan(wanted, config.load(settings, source="argument")).submit()


def plan(wanted: spec.RenderSpec, loaded: config.Config) -> PlannedJob:
    """Prepare a job without sending anything. Raises SpecError for a wrong request."""
    backend = open_backend(loaded.settings.backend, loaded.settings)
    with _timed("plan", wanted.path):
        prepared = spec.prepare(wanted, loaded.settings)
        check_untrusted(wanted, loaded)
        _check_backend_options(loaded, is_map=bool(wanted.inputs))
        return PlannedJob(wanted, loaded, prepared, backend.plan(prepared.job), backend)


def _check_backend_options(loaded: config.Config, *, is_map: bool) -> None:
    """Raise SpecError for an option that was given for this job and that its backend does not have."""
    backend = loaded.settings.backend
    for key, origin in loaded.origins.items():
        table = key.rpartition(".")[0]
        if origin not in config.GIVEN or table not in BACKENDS or table == backend:
            continue
        if key == "k8s.parallelism" and is_map and backend in {"local", "docker"}:
            continue
        raise SpecError(
            f"{config.name_setting(key, origin)} is an option of the {table} backend, and this job runs on {backend}",
            hint=f"leave it out, or add --backend {table}",
        )


def plan_retry(job: Job, flags: Mapping[str, object], *, source: str, foreground: bool = True) -> PlannedJob:
    """Prepare a job that runs what failed of another one. ``source`` is the word for ``flags`` in messages.

    Raises SpecError as ``Job.retry`` does.
    """
    status = job.status()
    request = requests.find(job.handle)
    if request is None:
        failed_names = [show_line(unit.name) for unit in status.units if unit.state is not JobState.SUCCEEDED]
        what = f"submit here what failed: {', '.join(failed_names[:5])}" if failed_names else "submit it here"
        raise SpecError(
            f"{job.handle} was submitted on another machine, or more than {requests.KEPT_DAYS} days ago: "
            "its file and options are not known here",
            hint=f"run `renderer retry` where it was submitted, or {what}",
        )
    if not status.state.terminal:
        raise SpecError(
            f"{job.handle} has not ended", hint=f"renderer wait {job.handle}, or renderer cancel {job.handle}"
        )
    failed = [unit for unit, item in enumerate(status.units) if item.state is not JobState.SUCCEEDED]
    if not failed:
        raise SpecError(f"nothing of {job.handle} failed, so there is nothing to run again")
    if not request.folder.is_dir():
        raise SpecError(f"the folder {request.folder}, in which it was submitted, does not exist any more")
    loaded = config.load({**request.settings, **flags}, folder=request.folder, source=source)
    if missing := [name for name in request.variables if name not in loaded.settings.env]:
        raise SpecError(
            f"the job had the variable {missing[0]}, and values of variables are not kept",
            hint=f"give it again: --env {missing[0]}=VALUE",
        )
    wanted = requests.select(request, failed, [unit.name for unit in status.units])
    with chdir(request.folder):  # the current folder can be the root of the job
        planned = plan(replace(wanted, foreground=foreground), loaded)
    return replace(planned, earlier=(*request.earlier, str(job.handle)))


def open_job(handle: str | JobHandle, settings: Settings | None = None) -> Job:
    """Return the job with that handle. Raises SpecError for a text that is not a handle."""
    parsed = JobHandle.parse(handle) if isinstance(handle, str) else handle
    return Job(parsed, open_backend(parsed.backend, settings or config.load({}).settings))


def jobs(backend: str | None = None, settings: Settings | None = None) -> Iterator[JobStatus]:
    """Yield the jobs that a backend knows, newest first."""
    known = settings or config.load({}).settings
    return open_backend(backend or known.backend, known).list()


def open_backend(name: str, settings: Settings) -> Backend[Any]:
    """Return the backend with its options. Raises SpecError for an unknown name."""
    backend = get_backend(name, settings.backend_options(name))
    backend.limits = Limits(total=settings.output_limit * 2**20, files=settings.output_files)
    return backend


def _explain_missing(unit: UnitStatus, root: Path, file: Path, *, with_links: bool) -> UnitStatus:
    problem = unit.problem
    if problem is None or unit.state is not JobState.FAILED:
        return unit
    hint = explain_missing_files(f"{problem.message}\n{problem.details or ''}", root, file, with_links=with_links)
    return replace(unit, problem=replace(problem, hint=hint, from_job=False)) if hint else unit


@contextmanager
def _timed(verb: str, subject: object) -> Iterator[None]:
    """Log how long the block took."""
    started = time.monotonic()
    try:
        yield
    finally:
        _log.debug("%s of %s took %.3f s", verb, subject, time.monotonic() - started)
