"""Where a job's inputs and outputs lie: ``--store``, as the client and as the pod see it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backends.errors import SpecError
from backends.kubernetes import names


@dataclass(frozen=True)
class Place:
    """One job's folder in a store. ``claim`` is set for pvc://, ``uri`` for an object store."""

    path: str
    claim: str | None = None
    uri: str | None = None

    @property
    def in_pod(self) -> str:
        """The folder's URI for the pod, which has a claim mounted."""
        return f"{self.uri}/{self.path}" if self.uri else f"file://{names.STORE}/{self.path}"


def parse(store: str, job: str) -> Place:
    """Read ``s3://bucket/prefix``, ``gs://…`` or ``pvc://claim/path``; the job's own folder is jobs/JOB. SpecError."""
    match = re.fullmatch(r"(s3|gs|pvc)://([A-Za-z0-9][A-Za-z0-9._-]*)((?:/[^/?#]+)*)/?", store)
    if not match or ".." in match[3].split("/"):
        raise SpecError(
            f"the store {store!r} is none that a Kubernetes job can use",
            hint="write s3://bucket/prefix, gs://bucket/prefix or pvc://claim/path",
        )
    scheme, root, path = match.groups()
    folder = f"{path.strip('/')}/jobs/{job}".lstrip("/")
    return Place(folder, claim=root) if scheme == "pvc" else Place(folder, uri=f"{scheme}://{root}")
