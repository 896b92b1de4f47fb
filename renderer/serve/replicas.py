"""What the server writes on a job itself, so that another replica of the server finds the job and knows whose it is.

On Kubernetes several replicas may run, and each has files of its own. There a job's labels say its id, its owner and
the digest of the request. A request with an Idempotency-Key has the same id everywhere, and the name of a Job follows
from its content: so two replicas that submit the same request at the same time create one Job. A further label says
whether the message about its end is still to be sent: if the replica that took the job is gone, another one sends it.

When Kubernetes has deleted a Job after its time, the server's bucket still has the outputs, and a record of the job
beside them: see JobArchive.

Untrusted jobs there cannot reach a store: their pods wait with the outputs. Every replica looks for such pods, puts
what they hold into the store of the server's settings, with the server's credentials, and then lets them end.
"""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from backends import Backend, JobHandle, JobState, JobStatus
from backends.errors import OutputError, RendererError, SpecError
from backends.kubernetes.names import ANNOTATION_WEBHOOK, LABELS_SERVE
from renderer import api, config
from renderer.config import Config
from renderer.serve import tokens
from renderer.serve.problems import FREE_DISK
from renderer.serve.records import MARK, Record, is_id, open_archive

if TYPE_CHECKING:
    from backends.kubernetes.backend import KubernetesBackend

BACKENDS = frozenset({"k8s"})  # that keep labels
_ID, _OWNER, _DIGEST, _WEBHOOK = LABELS_SERVE
_WAITING, _SENT = "waiting", "sent"  # values of _WEBHOOK
_DIGEST_LENGTH = 40  # of 64: a label has at most 63 characters
COLLECT_TIMEOUT_S = 3600  # how long pods wait at least: a server may be away, or its store full
LOOK_S = 1.0
MAX_PAUSE_S = 60.0  # after looks that failed again and again
JOBS_AT_ONCE = 64  # whose outputs are collected: many, because a hostile job can make its own take as long as it runs
_MAX_RECORD = 2**24
_log = logging.getLogger(__name__)


def mark_job(loaded: Config, record: Record) -> Config:
    """Return the settings of a job with the labels of its record, at a backend that keeps labels."""
    if loaded.settings.backend not in BACKENDS:
        return loaded
    options = loaded.settings.k8s
    own = {_ID: record.id, _OWNER: record.owner, _DIGEST: record.digest[:_DIGEST_LENGTH]}
    if record.webhook:
        own[_WEBHOOK] = _WAITING
    options = options.model_copy(update={"labels": {**options.labels, **own}})
    return replace(loaded, settings=loaded.settings.model_copy(update={"k8s": options}))


def list_marked(backend: str, *, key: str | None = None, owner: str | None = None) -> Iterator[JobStatus]:
    """Yield the jobs of all replicas at a backend that keeps labels: those with this id or of this owner, or all."""
    return _open(backend).list({label: value for label, value in ((_ID, key), (_OWNER, owner)) if value})


def keep_url(backend: Backend[Any], record: Record) -> None:
    """Write the URL of a webhook on the new job, at a backend that keeps labels, if its token does not have it."""
    token = tokens.find_by_id(record.owner)
    if record.backend in BACKENDS and record.webhook and not (token and token.webhook == record.webhook):
        _as_kubernetes(backend).annotations = {ANNOTATION_WEBHOOK: record.webhook}


def list_unsent(backend: str) -> Iterator[JobStatus]:
    """Yield the jobs of all replicas about whose end no replica has sent the message so far."""
    return _open(backend).list({_WEBHOOK: _WAITING})


def is_sent(status: JobStatus) -> bool:
    """Return whether some replica has sent the message about the job's end, or has given up."""
    return status.labels.get(_WEBHOOK) == _SENT


def note_sent(handle: JobHandle) -> None:
    """Mark a job, for all replicas: no message about its end is to be sent any more."""
    if handle.backend in BACKENDS:
        _open(handle.backend).label(handle, {_WEBHOOK: _SENT})


def restore_record(status: JobStatus) -> Record | None:
    """Return the record of a job that any replica submitted, without its files; None for any other job."""
    key, owner = status.labels.get(_ID, ""), status.labels.get(_OWNER)
    if not is_id(key) or not owner:
        return None
    webhook = None
    if status.labels.get(_WEBHOOK) == _WAITING:
        token = tokens.find_by_id(owner)
        webhook = status.labels.get(ANNOTATION_WEBHOOK) or (token.webhook if token else None)
    return Record(
        id=key,
        owner=owner,
        created=status.created.isoformat(timespec="microseconds") if status.created else "",
        backend=status.handle.backend,
        name=status.name.removesuffix(f"-{key[:MARK]}"),
        digest=status.labels.get(_DIGEST, ""),
        request={},
        handle=str(status.handle),
        webhook=webhook,
    )


def is_same_request(record: Record, digest: str) -> bool:
    """Return whether the record is that of a request with this digest."""
    return record.digest[:_DIGEST_LENGTH] == digest[:_DIGEST_LENGTH]


def choose_shelf(loaded: Config) -> str | None:
    """Return the store for the outputs of a job that must not reach it itself; None for other jobs.

    Raises SpecError if the server has none, or no sandbox.
    """
    settings = loaded.settings
    if not settings.untrusted or settings.backend not in BACKENDS:
        return None
    if not settings.store:
        raise SpecError(
            "this server has no store for the outputs of untrusted jobs on Kubernetes",
            hint="its administrator sets RENDERER_STORE to s3://BUCKET/PREFIX or gs://BUCKET/PREFIX",
        )
    from backends.kubernetes.manifests.store_uri import parse_shelf_uri

    parse_shelf_uri(settings.store, "job")
    if settings.k8s.runtime_class in {"auto", "none"}:
        raise SpecError(
            "this server has no sandbox for untrusted jobs on Kubernetes",
            hint="its administrator sets RENDERER_K8S_RUNTIME_CLASS to one of gVisor or Kata, or makes trusted tokens",
        )
    return settings.store


def separate_store(loaded: Config) -> Config:
    """Return the settings of such a job: it has no store, and waits long enough for a server to come back."""
    options = loaded.settings.k8s
    wait = max(options.collect_timeout, COLLECT_TIMEOUT_S)
    options = options.model_copy(update={"store_secret": None, "collect_timeout": wait})
    return replace(loaded, settings=loaded.settings.model_copy(update={"store": None, "k8s": options}))


def complete(planned: api.PlannedJob, handle: JobHandle) -> None:
    """Finish a submit that was killed, at a backend that keeps labels: there a job is made in several steps."""
    if handle.backend in BACKENDS:
        _as_kubernetes(planned.backend).complete(handle, planned.plan)


def set_shelf(backend: Backend[Any], uri: str) -> None:
    """Let new jobs of a backend have their outputs put into this store."""
    _as_kubernetes(backend).shelf = uri


class JobArchive:
    """Records of the jobs of all replicas in the server's bucket, for when the cluster has deleted them.

    A record is signed with the hash of its owner's token, which nobody else has but the servers. So a job that can
    write into the bucket can make no job of another owner's. Without a bucket there are none.
    """

    def __init__(self, uri: str | None) -> None:
        self._storage = open_archive(uri)

    def put(self, record: Record) -> None:
        """Store the record of a job that was submitted. If that is impossible, other replicas lose it at its time."""
        token = tokens.find_by_id(record.owner)
        if self._storage is None or token is None or record.backend not in BACKENDS or not record.handle:
            return
        from backends.kubernetes.transfer.job_records import JobRecord

        if content := JobRecord(JobHandle.parse(record.handle)).export():
            body = json.dumps({"handle": record.handle, "job": content}).encode()
            try:
                self._storage.put_bytes(_archive_path(record.owner, record.id), _sign(token, body) + b"\n" + body)
            except RendererError as error:
                _log.warning("no other replica will know %s after its time: %s", record.handle, error)

    def list(self, owner: str) -> list[str]:
        """Return the ids of an owner's jobs that have a record. Raises RendererError."""
        found = self._storage.list(owner) if self._storage else ()
        return [key for path in found if is_id(key := path.rpartition("/")[2])]

    def has(self, record: Record) -> bool:
        """Return whether a job has a record; True if there can be none. Raises RendererError."""
        if self._storage is None or tokens.find_by_id(record.owner) is None:
            return True
        return self._storage.size(_archive_path(record.owner, record.id)) is not None

    def find(self, owner: str, key: str) -> Record | None:
        """Return the record of a job, which this machine can read then like one of its own. Raises RendererError."""
        token = tokens.find_by_id(owner)
        if self._storage is None or token is None:
            return None
        try:
            data = self._storage.get_bytes(_archive_path(owner, key), most=_MAX_RECORD)
        except OutputError:
            return None
        signature, _, body = data.partition(b"\n")
        if not hmac.compare_digest(signature, _sign(token, body)):
            _log.warning("the record of the job %s in the store is not by a server", key)
            return None
        from backends.kubernetes.transfer.job_records import JobRecord

        content = json.loads(body)
        handle = JobHandle.parse(content["handle"])
        try:
            job = JobRecord(handle).restore(content["job"])
        except OSError as error:
            raise OutputError(f"cannot write the record of a job: {error.strerror}", hint=FREE_DISK) from error
        if job is None:
            return None
        labels = {name: value for name, value in job.labels.items() if name != _WEBHOOK}  # its message is not ours
        status = JobStatus(
            handle=handle, name=job.title, state=JobState.SUCCEEDED, units=(), created=job.created, labels=labels
        )
        found = restore_record(status)
        return found if found and (found.owner, found.id) == (owner, key) else None

    def remove(self, record: Record) -> None:
        """Remove the record of a job that is to be deleted. Raises RendererError."""
        if self._storage and record.backend in BACKENDS:
            self._storage.remove([_archive_path(record.owner, record.id)])


def _archive_path(owner: str, key: str) -> str:
    return f"{owner}/{key}"


def _sign(token: tokens.Token, body: bytes) -> bytes:
    return hmac.new(token.digest.encode(), body, "sha256").hexdigest().encode()


def is_removed(status: JobStatus) -> bool:
    """Return whether the cluster has deleted the job, so that the status is what its store says."""
    from backends.kubernetes.transfer.job_records import NOTE

    return status.handle.backend in BACKENDS and NOTE in status.notes


class OutputCollector:
    """Collects the outputs of untrusted jobs, of those of other replicas as well, as long as the server runs."""

    def __init__(self) -> None:
        self._backend = _open("k8s")
        self._busy = set[JobHandle]()
        self._failed: dict[JobHandle, tuple[float, float]] = {}  # when to try again, and the pause until then
        self._pause_s = LOOK_S

    async def run(self) -> None:
        """Look for pods that wait, again and again."""
        limiter = anyio.CapacityLimiter(JOBS_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            while True:
                found = await anyio.to_thread.run_sync(self._find, abandon_on_cancel=True)
                self._failed = {handle: known for handle, known in self._failed.items() if handle in found}
                for handle in found - self._busy:
                    if self._failed.get(handle, (0.0, 0.0))[0] <= time.monotonic():
                        self._busy.add(handle)
                        tasks.start_soon(self._collect, handle, limiter)
                await anyio.sleep(self._pause_s)

    def _find(self) -> set[JobHandle]:
        """Return the jobs that have outputs in their pods."""
        try:
            found = self._backend.find_waiting()
        except Exception as error:  # noqa: BLE001  # the server goes on, and looks again
            level = logging.WARNING if self._pause_s == LOOK_S else logging.INFO  # once, and not again and again
            _log.log(level, "cannot look for outputs of untrusted jobs: %s", error)
            self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
            return set()
        self._pause_s = LOOK_S
        return found

    async def _collect(self, handle: JobHandle, limiter: anyio.CapacityLimiter) -> None:
        try:
            await anyio.to_thread.run_sync(self._backend.collect, handle, limiter=limiter, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001  # whatever a job has sent, the server goes on
            pause = min(2 * self._failed.get(handle, (0.0, LOOK_S))[1], MAX_PAUSE_S)
            self._failed[handle] = time.monotonic() + pause, pause
            _log.warning("outputs of %s still wait in its pods: %s", handle, error)
        else:
            self._failed.pop(handle, None)
        finally:
            self._busy.discard(handle)


def _open(name: str) -> KubernetesBackend:
    return _as_kubernetes(api.open_backend(name, config.load({}).settings))


def _as_kubernetes(backend: Backend[Any]) -> KubernetesBackend:
    from backends.kubernetes.backend import KubernetesBackend

    assert isinstance(backend, KubernetesBackend)  # noqa: S101  # BACKENDS has no other
    return backend
