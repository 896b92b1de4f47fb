"""What the server does for a caller: submits, finds, lists and changes jobs. Knows nothing about HTTP."""

from __future__ import annotations

import functools
import hashlib
import heapq
import itertools
import json
import logging
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends import JobHandle, JobState, JobStatus
from backends.errors import BackendError, JobNotFoundError, RendererError, SpecError, TransientError
from renderer import api, config, scenes
from renderer.config import Config
from renderer.maps import requests
from renderer.serve import records, replicas, tokens
from renderer.serve.callers import Caller, Policy
from renderer.serve.planning import count_gpus, hide_folder, make_spec, plan_run, without_webhook
from renderer.serve.problems import RefusedError
from renderer.serve.records import Record, Records
from renderer.serve.schemas import Preview, Run
from renderer.spec import RenderSpec

FRESH_S = 0.25  # how old a status may be that several clients get, and the settings with which it is read
FRESH_ENDED_S = 60.0  # the same for a job that has ended, which may be deleted elsewhere
FRESH_SHARED_S = 10.0  # the same where another replica may delete it: see replicas
SUBMIT_TIMEOUT_S = 10.0  # how long a submit waits for an earlier one of the same owner to the same backend
MOST_ENDED = 20_000  # statuses of jobs that have ended, which never change
MANY = 100  # statuses that are read one by one before a backend is asked for its whole list, which costs less
_COMMAND_LINE = "h-"
LATEST = datetime.max.replace(tzinfo=UTC)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A job as the server knows it. ``record`` is None for one that was submitted on the command line."""

    id: str
    handle: JobHandle
    record: Record | None = None

    @property
    def backend(self) -> str:
        """The name of the job's backend."""
        return self.handle.backend


Wanted = Callable[[Entry, JobStatus], bool]


class Service:
    """The jobs of one server. Every method may block, and may be called from any thread."""

    def __init__(self, store: Records, policy: Policy) -> None:
        self.records = store
        self.policy = policy
        self._submitting: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._statuses: OrderedDict[str, tuple[float, JobStatus]] = OrderedDict()
        self._listed: dict[str, JobStatus] = {}  # jobs that have ended, as their backend listed them
        self._config: tuple[float, Config] | None = None
        self._guard = threading.Lock()
        self.collects = False  # whether this process collects outputs of untrusted jobs: see replicas
        self.on_status: Callable[[Entry, JobStatus], object] | None = None  # gets each status that is read

    @functools.cached_property
    def _archive(self) -> replicas.JobArchive:
        return replicas.JobArchive(self.load_config().settings.store if self._shared_backends() else None)

    def recover(self) -> bool:
        """Finish the submits of a killed server that its backends have begun, and forget the other ones.

        Return False if a backend does not answer, so that this is to be called again.
        """
        is_done = True
        for record in self.records.all():
            if record.handle is None:
                try:
                    with self._submits(record.owner, record.backend):
                        found = self.records.find(record.id)
                        if found and found.handle is None:  # and no request has submitted it again in the meantime
                            self._recover(found)
                except RendererError as error:
                    _log.info("%s cannot be found at its backend: %s", record.id, error)
                    is_done = False
        return is_done

    def _recover(self, record: Record) -> Record | None:
        found = records.find_submitted(record, self._list_jobs)
        if not found:
            self.records.remove(record.id)
            return None
        run, owner = Run(**record.request), Caller(tokens.find_by_id(record.owner))
        with suppress(SpecError):  # the settings of the server, or its tokens, may be others by now
            loaded = self.policy.load_settings(owner, run.settings)
            planned = self._plan(record, make_spec(run), self.records.path(record.id) / "project", loaded)
            replicas.complete(planned, found)
            planned.remember(found)
        return self._note(record, found)

    def _note(self, record: Record, handle: JobHandle) -> Record:
        done = self.records.set_handle(record, handle)
        self._archive.put(done)
        return done

    @contextmanager
    def _submits(self, owner: str, backend: str) -> Iterator[None]:
        """Hold off other submits of an owner to a backend: they would not see this one.

        Raises TransientError if an earlier one takes long, because its backend does not answer.
        """
        lock = self._submitting[owner, backend]
        if not lock.acquire(timeout=SUBMIT_TIMEOUT_S):
            raise TransientError(
                f"an earlier submit still waits for an answer of the backend ({backend})",
                hint="send the request again in a minute; `renderer doctor` checks a backend",
            )
        try:
            yield
        finally:
            lock.release()

    def submit(self, caller: Caller, run: Run, folder: Path, digest: str, key: str | None) -> tuple[Entry, bool]:
        """Submit the job whose files are in ``folder``, and return it and whether it is new.

        With a ``key`` (Idempotency-Key) the same request returns the first job. Raises SpecError and BackendError.
        """
        content = run.model_dump(include=set(Run.model_fields))
        digest = hashlib.sha256(f"{digest}{json.dumps(content, sort_keys=True)}".encode()).hexdigest()
        new = records.new_id()
        if key is not None:
            new = hashlib.sha256(f"{caller.owner}\0{key}".encode()).hexdigest()[: len(new)]
        loaded = self.policy.load_settings(caller, run.settings)
        with self._submits(caller.owner, loaded.settings.backend):
            known = self._find_earlier(caller, new, digest, elsewhere=key is not None)
            if known and (known.backend not in replicas.BACKENDS or self.status(known).state is not JobState.PENDING):
                return known, False
            webhook = self.policy.choose_webhook(caller, run.webhook)
            if known is None:
                self._check_token(caller)
            if loaded.settings.untrusted:  # so that a retry is, too, whoever asks for it
                content["settings"] = {**run.settings, "untrusted": True}
            title = run.name or (run.scenes[0] if len(run.scenes) == 1 else Path(run.file).stem)
            record = Record(
                id=new,
                owner=caller.owner,
                created=records.now(),
                backend=loaded.settings.backend,
                name=records.short_name(title),
                digest=digest,
                request=content,
                gpus=count_gpus(loaded),
                webhook=webhook,
            )
            if known:  # the replica that took it may have been killed before the job was complete
                replicas.complete(self._plan(record, make_spec(run), folder / "project", loaded), known.handle)
                self._archive.put(replace(record, handle=str(known.handle)))
                return known, False
            return self._start(record, make_spec(run), folder, loaded), True

    def plan(self, caller: Caller, run: Run, folder: Path) -> api.PlannedJob:
        """Check the job whose files are in ``folder`` without submitting it. Raises SpecError."""
        project = folder / "project"
        wanted = make_spec(run)
        wanted = replace(wanted, path=project / wanted.path, root=project, foreground=False)
        loaded = without_webhook(self.policy.load_settings(caller, run.settings))
        return plan_run(wanted, loaded, collects=self.collects)

    def _find_earlier(self, caller: Caller, key: str, digest: str, *, elsewhere: bool) -> Entry | None:
        record = self.records.find(key)
        if record and record.handle and record.backend in replicas.BACKENDS:
            try:
                self.status(_entry(record), fresh=True)
            except JobNotFoundError:  # another replica has deleted it
                record = None
        if record is None and elsewhere:
            record = self._find_elsewhere(caller, key)
        if record and not replicas.is_same_request(record, digest):
            raise RefusedError(
                422, "this Idempotency-Key was used for another request", hint="use a new key for each job"
            )
        if record and record.handle is None:
            record = self._recover(record)
        return _entry(record) if record else None

    def _check_token(self, caller: Caller) -> None:
        """Raise RefusedError if the token was revoked in the meantime, or has as many jobs as it may have."""
        if caller.token is None:
            return
        caller.check_known()
        active = sum(1 for _ in self._list_active(caller))
        if active >= caller.token.jobs:
            raise RefusedError(
                429, f"{active} jobs of this token run or wait, which is its limit", hint="wait until one has ended"
            )

    def _list_active(self, caller: Caller) -> Iterator[Entry]:
        """Yield the caller's jobs that run or wait. Those of a backend that does not answer count as such."""
        seen: set[str] = set()
        for name in self._shared_backends():
            with suppress(RendererError):
                for record, status in self._list_shared(name, owner=caller.owner):
                    seen.add(record.id)
                    if not status.state.terminal:
                        yield _entry(record)
        own = (entry for entry in self._own(caller) if entry.id not in seen)
        yield from (entry for entry in self._list_many(own) if not self.is_ended(entry))

    def is_ended(self, entry: Entry) -> bool:
        """Return whether the job has ended or is gone; False if its backend does not answer."""
        try:
            return self._summary(entry).state.terminal
        except JobNotFoundError:
            return True
        except RendererError:
            return False

    def _start(
        self,
        record: Record,
        wanted: RenderSpec,
        folder: Path,
        loaded: Config,
        earlier: tuple[str, ...] = (),
    ) -> Entry:
        """Take the files, submit the job and note its handle. A request that is refused leaves nothing behind."""
        self.records.create(folder, record)
        project = self.records.path(record.id) / "project"
        try:
            job = replace(self._plan(record, wanted, project, loaded), earlier=earlier).submit()
        except BaseException as error:
            self.records.remove(record.id)
            if isinstance(error, SpecError):
                raise hide_folder(error, project) from error
            raise
        done = self._note(record, job.handle)
        _log.info("%s was submitted for %s as %s", done.id, done.owner, job.handle)
        return Entry(done.id, job.handle, done)

    def _plan(self, record: Record, wanted: RenderSpec, project: Path, loaded: Config) -> api.PlannedJob:
        wanted = replace(wanted, path=project / wanted.path, root=project, name=record.job_name, foreground=False)
        planned = plan_run(wanted, replicas.mark_job(without_webhook(loaded), record), collects=self.collects)
        replicas.keep_url(planned.backend, record)
        return planned

    def retry(self, caller: Caller, entry: Entry, settings: dict[str, Any]) -> Entry:
        """Run what failed of a job again, as a new job with the same files. Raises SpecError if nothing failed."""
        given = self.policy.load_settings(caller, settings) if settings else None
        request = requests.find(entry.handle)
        if entry.record is None:
            return self._retry_other(entry, settings)
        if request is None or not self.records.has_files(entry.id):
            raise _missing_files()
        run = {**entry.record.request, "settings": {**entry.record.request["settings"], **settings}}
        loaded = self.policy.load_settings(caller, run["settings"])
        with self._submits(caller.owner, loaded.settings.backend), self.records.upload() as folder:
            failed, names = self._find_failed(entry)
            old = self.records.path(entry.record.id) / "project"
            wanted = requests.select(request, failed, names)
            if run.get("inputs") is None:  # what is kept of the new job is what it runs
                run |= {"scenes": list(wanted.scenes), "all": wanted.every}
            else:
                run["inputs"] = [run["inputs"][unit] for unit in failed]
            self._check_token(caller)
            self.records.copy_project(entry.record.id, folder)
            new = replace(
                entry.record,
                id=records.new_id(),
                created=records.now(),
                backend=(given or loaded).settings.backend,
                request=run,
                gpus=count_gpus(loaded),
                handle=None,
            )
            wanted = replace(wanted, path=wanted.path.relative_to(old))
            return self._start(new, wanted, folder, loaded, (*request.earlier, str(entry.handle)))

    def preview(self, caller: Caller, entry: Entry) -> Entry:
        """Make a preview of a job's scenes, as a new job with the same files. Raises SpecError for a script."""
        record = entry.record
        if record is None:
            raise RefusedError(
                409, "this job came from the command line", hint="send its files for a preview of their own"
            )
        if not self.records.has_files(entry.id):
            raise _missing_files()
        own = {"preview": Preview(), "inputs": None, "max_failed": None, "webhook": None}
        run = Run(**{**record.request, **own})
        with self.records.upload() as folder:
            self.records.copy_project(record.id, folder)
            return self.submit(caller, run, folder, record.digest, None)[0]

    def has_preview(self, entry: Entry) -> bool:
        """Return whether ``preview`` can be made of a job: of scenes whose files are here."""
        request = entry.record.request if entry.record and self.records.has_files(entry.id) else {}
        if not request or request.get("preview") or request.get("inputs") or request.get("kind") == "script":
            return False
        root = self.records.path(entry.id) / "project"
        with suppress(SpecError):
            return bool(scenes.find_scenes(root / request["file"], root))
        return False

    def _retry_other(self, entry: Entry, settings: dict[str, Any]) -> Entry:
        """Retry a job of the command line, which stays one."""
        job = api.plan_retry(self.open(entry), settings, source="argument", foreground=False).submit()
        return Entry(_command_line_id(job.handle), job.handle)

    def _find_failed(self, entry: Entry) -> tuple[list[int], list[str]]:
        status = self.status(entry, fresh=True)
        if not status.state.terminal:
            raise RefusedError(409, "the job has not ended", hint="wait for its end, or cancel it")
        failed = [unit for unit, item in enumerate(status.units) if item.state is not JobState.SUCCEEDED]
        if not failed:
            raise RefusedError(
                409, "nothing of this job failed, so there is nothing to run again", hint="submit it as a new job"
            )
        return failed, [unit.name for unit in status.units]

    def find(self, caller: Caller, key: str) -> Entry:
        """Return a job that the caller may see. Raises JobNotFoundError for all others."""
        record = self.records.find(key) or self._find_elsewhere(caller, key)
        if record and (caller.token is None or record.owner == caller.owner):
            if record.handle is None:
                raise RefusedError(409, "the job is being submitted", hint="ask again in a second")
            return _entry(record)
        if caller.token is None and key.startswith(_COMMAND_LINE):
            with suppress(ValueError, SpecError):
                handle = JobHandle.parse(urlsafe_b64decode(key.removeprefix(_COMMAND_LINE) + "==").decode())
                if handle.backend in self.policy.backends:
                    return Entry(key, handle)
        raise JobNotFoundError(f"there is no job {key[:64]}", hint="the list of jobs has yours")

    def _own(self, caller: Caller) -> Iterator[Entry]:
        owner = caller.owner if caller.token else None
        return (_entry(record) for record in self.records.all(owner) if record.handle)

    def list(self, caller: Caller, backend: str, wanted: Wanted) -> Iterator[tuple[Entry, JobStatus]]:
        """Yield the caller's jobs at a backend that are wanted, in the order of ``place_of``.

        Without tokens those of the command line are among them. Raises RendererError if the backend does not answer.
        """
        found = self._list_owned(caller, backend, wanted) if caller.token else self._list_all(backend, wanted)
        for _, jobs in itertools.groupby(found, key=lambda job: job[1].created):  # times may be whole seconds
            yield from sorted(jobs, key=lambda job: place_of(*job), reverse=True)

    def _list_all(self, backend: str, wanted: Wanted) -> Iterator[tuple[Entry, JobStatus]]:
        by_handle = {record.handle: record for record in self.records.all()}
        for status in self._list_jobs(backend) if backend in self.policy.backends else ():
            record = by_handle.get(str(status.handle)) or self._adopt(status)
            entry = _entry(record) if record else _other(status.handle)
            if wanted(entry, status):
                yield entry, status

    def _list_owned(self, caller: Caller, backend: str, wanted: Wanted) -> Iterator[tuple[Entry, JobStatus]]:
        shared = list(self._list_shared(backend, owner=caller.owner)) if backend in self._shared_backends() else []
        seen = {record.id for record, _ in shared}
        if backend in self._shared_backends():
            try:
                for key in self._archive.list(caller.owner):
                    if key not in seen and self.records.find(key) is None:
                        self._find_archived(caller, key)
            except RendererError as error:  # those that the cluster still has can be listed all the same
                _log.warning("a list has no jobs that the cluster has deleted: %s", error)
        own = (entry for entry in self._own(caller) if entry.backend == backend and entry.id not in seen)
        parts = ((_entry(record), status) for record, status in shared), self._list_known(own, wanted)
        for entry, status in heapq.merge(*parts, key=lambda job: job[1].created or LATEST, reverse=True):
            if wanted(entry, status):
                yield entry, status

    def _list_known(self, own: Iterable[Entry], wanted: Wanted) -> Iterator[tuple[Entry, JobStatus]]:
        """Yield the jobs that are wanted and still there: only these are looked at again."""
        for entry in self._list_many(own):
            with suppress(JobNotFoundError):
                if wanted(entry, self._summary(entry)):
                    yield entry, self.status(entry)

    def _list_many(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the jobs. Ask a backend for all of its jobs at once if the states of many are not known."""
        unknown: Counter[str] = Counter()
        for entry in entries:
            key, name = str(entry.handle), entry.backend
            if key not in self._listed and key not in self._statuses:
                unknown[name] += 1
                if unknown[name] == MANY and name not in replicas.BACKENDS:
                    with suppress(RendererError):
                        self._remember_ended(self._list_jobs(name))
            yield entry

    def _remember_ended(self, statuses: Iterable[JobStatus]) -> None:
        ended = {str(status.handle): status for status in statuses if status.state.terminal}
        with self._guard:
            self._listed.update(itertools.islice(ended.items(), MOST_ENDED - min(len(self._listed), MOST_ENDED)))

    def _summary(self, entry: Entry) -> JobStatus:
        """Return the state of a job as it was read last, if it had ended then: it may be gone, but not run again."""
        key = str(entry.handle)
        _, known = self._statuses.get(key) or (0.0, self._listed.get(key))
        return known if known and known.state.terminal else self.status(entry)

    def _list_jobs(self, backend: str) -> Iterator[JobStatus]:
        return api.jobs(backend, self.load_config().settings)

    def _shared_backends(self) -> Sequence[str]:
        """Return the backends at which jobs of other replicas may be."""
        return tuple(name for name in self.policy.backends if name in replicas.BACKENDS)

    def _list_shared(self, backend: str, **marks: str) -> Iterator[tuple[Record, JobStatus]]:
        for status in replicas.list_marked(backend, **marks):
            if record := self._adopt(status):
                yield record, status

    def _adopt(self, status: JobStatus) -> Record | None:
        record = replicas.restore_record(status)
        return self.records.adopt(record) if record else None

    def adopt_unsent(self) -> None:
        """Find the jobs of other replicas whose webhook is still to be told about the end."""
        for name in self._shared_backends():
            with suppress(RendererError):
                for status in replicas.list_unsent(name):
                    self._adopt(status)

    def _find_elsewhere(self, caller: Caller, key: str) -> Record | None:
        """Return the record of a job that another replica submitted."""
        if not records.is_id(key):
            return None
        listed = (record for name in self._shared_backends() for record, _ in self._list_shared(name, key=key))
        return next(listed, None) or self._find_archived(caller, key)

    def _find_archived(self, caller: Caller, key: str) -> Record | None:
        """Return the record of a job of any replica that its cluster has deleted."""
        record = self._archive.find(caller.owner, key)
        return record and self.records.adopt(record)

    def open(self, entry: Entry) -> api.Job:
        """Return the job itself."""
        return api.open_job(entry.handle, self.load_config().settings)

    def load_config(self) -> Config:
        """Return the settings of this server, not older than FRESH_S: loading them costs more than most statuses."""
        known = self._config
        if known is None or time.monotonic() - known[0] > FRESH_S:
            known = self._config = time.monotonic(), config.load({})
        return known[1]

    def bundle_limit(self, caller: Caller) -> int:
        """Return how many MiB the files of a job may have."""
        return caller.token.bundle_mib if caller.token else self.load_config().settings.bundle_limit_mib

    def status(self, entry: Entry, *, fresh: bool = False) -> JobStatus:
        """Return the state of a job: not older than FRESH_S. Raises JobNotFoundError, and forgets what is gone."""
        key = str(entry.handle)
        known = self._statuses.get(key)
        if known and not fresh and time.monotonic() - known[0] < _fresh_s(entry, known[1]):
            return known[1]
        try:
            status = self._read_status(entry)
        except JobNotFoundError:
            self.forget(entry)
            raise
        with self._guard:
            self._statuses[key] = time.monotonic(), status
            self._statuses.move_to_end(key)
            while len(self._statuses) > MOST_ENDED:
                self._statuses.popitem(last=False)
        if self.on_status:
            self.on_status(entry, status)
        return status

    def _read_status(self, entry: Entry) -> JobStatus:
        status = self.open(entry).status()
        if entry.record and replicas.is_removed(status) and not self._archive.has(entry.record):
            raise JobNotFoundError("the job was deleted", hint="the list of jobs has yours")
        return status

    def known_states(self, *, with_webhook: bool = False) -> Iterator[tuple[Entry, JobState | None]]:
        """Yield the jobs of all callers, with the state that was read last; None if none was."""
        for record in self.records.all(with_webhook=with_webhook):
            if record.handle:
                known = self._statuses.get(record.handle)
                yield _entry(record), known[1].state if known else None

    def cancel(self, entry: Entry) -> JobStatus:
        """Stop a job, and return its state."""
        self.open(entry).cancel()
        return self.status(entry, fresh=True)

    def delete(self, entry: Entry) -> None:
        """Remove a job with all that it stored here and at its backend."""
        if entry.record:
            self._archive.remove(entry.record)
        with suppress(JobNotFoundError):
            self.open(entry).delete()
        self.forget(entry)

    def forget(self, entry: Entry) -> None:
        """Remove what is kept here of a job that its backend does not have any more."""
        with self._guard:
            self._statuses.pop(str(entry.handle), None)
            self._listed.pop(str(entry.handle), None)
        if entry.record:
            self.records.remove(entry.record.id)


def _missing_files() -> RefusedError:
    return RefusedError(409, "the files of this job are not at this replica of the server", hint="submit the job again")


def _fresh_s(entry: Entry, status: JobStatus) -> float:
    """Return how long a status is right."""
    if not status.state.terminal:
        return FRESH_S
    return FRESH_SHARED_S if entry.backend in replicas.BACKENDS else FRESH_ENDED_S


def place_of(entry: Entry, status: JobStatus) -> tuple[datetime, str]:
    """Return by what jobs are listed, from the greatest to the least: no two have the same."""
    return status.created or LATEST, entry.id


def name_of(entry: Entry, status: JobStatus) -> str:
    """Return the name of the job, without the mark of its record."""
    return entry.record.name if entry.record else status.name


def _entry(record: Record) -> Entry:
    if record.handle is None:
        raise BackendError("the job is being submitted", hint="ask again in a second")
    return Entry(record.id, JobHandle.parse(record.handle), record)


def _other(handle: JobHandle) -> Entry:
    return Entry(_command_line_id(handle), handle)


def _command_line_id(handle: JobHandle) -> str:
    return _COMMAND_LINE + urlsafe_b64encode(str(handle).encode()).decode().rstrip("=")
