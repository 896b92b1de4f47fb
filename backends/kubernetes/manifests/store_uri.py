"""Parses ``--store``, the store of a job's inputs and outputs, for the client and for the pod."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from backends.errors import SpecError
from backends.kubernetes import names


@dataclass(frozen=True)
class StoreFolder:
    """One job's folder in a store: ``path`` in the PVC ``claim``, or in the object store ``uri``."""

    path: str
    claim: str | None = None
    uri: str | None = None

    @property
    def uri_in_pod(self) -> str:
        """The folder's URI. For a PVC it is valid only in a pod that has the PVC mounted."""
        return f"{self.uri}/{self.path}" if self.uri else f"file://{names.STORE}/{self.path}"

    @property
    def packages(self) -> StoreFolder:
        """The folder of packages, which all jobs with this store share."""
        return replace(self, path=f"{self.path.rpartition('jobs/')[0]}packages")

    def outputs(self, job_uid: str) -> str:
        """Return the path in this folder of what the units of one Job stored, with a folder for each unit.

        Files that were there before the Job was created cannot be below it: nobody knew its uid.
        """
        return f"{job_uid}/{names.UNITS}"


def parse_store_uri(store: str, job: str) -> StoreFolder:
    """Parse ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``pvc://claim/path``; return the folder jobs/JOB in it.

    Raises SpecError for anything else.
    """
    match = re.fullmatch(r"(s3|gs|pvc)://([A-Za-z0-9][A-Za-z0-9._-]*)((?:/[^/?#]+)*)/?", store)
    if not match or ".." in match[3].split("/"):
        raise SpecError(
            f"a job on Kubernetes cannot use the store {store!r}",
            hint="write s3://bucket/prefix, gs://bucket/prefix or pvc://claim/path",
        )
    scheme, root, path = match.groups()
    folder = f"{path.strip('/')}/jobs/{job}".lstrip("/")
    return StoreFolder(folder, claim=root) if scheme == "pvc" else StoreFolder(folder, uri=f"{scheme}://{root}")


def parse_shelf_uri(uri: str, job: str) -> StoreFolder:
    """Return the folder of a job in a store. Raises SpecError unless it is in a bucket: no pod may mount it."""
    folder = parse_store_uri(uri, job)
    if folder.claim:
        raise SpecError(
            f"outputs of untrusted jobs cannot be kept in {uri}: a PVC is for pods",
            hint="use a bucket: s3://BUCKET/PREFIX or gs://BUCKET/PREFIX",
        )
    return folder
