"""What the server writes on a job itself, so that another replica of the server finds the job and knows whose it is.

On Kubernetes several replicas may run, and each has files of its own. There a job's labels say its id, its owner and
the digest of the request. A request with an Idempotency-Key has the same id everywhere, and the name of a Job follows
from its content: so two replicas that submit the same request at the same time create one Job.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backends import JobStatus
from renderer import api, config
from renderer.config import Config
from renderer.serve.records import MARK, Record, is_id

BACKENDS = frozenset({"k8s"})  # that keep labels
_ID, _OWNER, _DIGEST = "manim-renderer/serve-id", "manim-renderer/serve-owner", "manim-renderer/serve-digest"
_DIGEST_LENGTH = 40  # of 64: a label has at most 63 characters


def mark_job(loaded: Config, record: Record) -> Config:
    """Return the settings of a job with the labels of its record, at a backend that keeps labels."""
    if loaded.settings.backend not in BACKENDS:
        return loaded
    options = loaded.settings.k8s
    own = {_ID: record.id, _OWNER: record.owner, _DIGEST: record.digest[:_DIGEST_LENGTH]}
    options = options.model_copy(update={"labels": {**options.labels, **own}})
    return replace(loaded, settings=loaded.settings.model_copy(update={"k8s": options}))


def list_marked(backend: str, *, key: str | None = None, owner: str | None = None) -> Iterator[JobStatus]:
    """Yield the jobs of all replicas at a backend that keeps labels: those with this id or of this owner, or all."""
    from backends.kubernetes.backend import KubernetesBackend

    opened = api.open_backend(backend, config.load({}).settings)
    assert isinstance(opened, KubernetesBackend)  # noqa: S101  # BACKENDS has no other
    return opened.list({label: value for label, value in ((_ID, key), (_OWNER, owner)) if value})


def restore_record(status: JobStatus) -> Record | None:
    """Return the record of a job that any replica submitted, without its files; None for any other job."""
    key, owner = status.labels.get(_ID, ""), status.labels.get(_OWNER)
    if not is_id(key) or not owner:
        return None
    return Record(
        id=key,
        owner=owner,
        created=status.created.isoformat(timespec="microseconds") if status.created else "",
        backend=status.handle.backend,
        name=status.name.removesuffix(f"-{key[:MARK]}"),
        digest=status.labels.get(_DIGEST, ""),
        request={},
        handle=str(status.handle),
    )


def is_same_request(record: Record, digest: str) -> bool:
    """Return whether the record is that of a request with this digest."""
    return record.digest[:_DIGEST_LENGTH] == digest[:_DIGEST_LENGTH]
