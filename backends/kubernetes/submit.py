"""Creates a job: asks first, creates then, and leaves nothing behind when something fails on the way."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from backends.errors import BackendError
from backends.kubernetes import claim, names, place, together, units
from backends.kubernetes.api import Api, Object
from backends.kubernetes.job import KubernetesRequest
from backends.kubernetes.paths import RUNTIME_CLASSES, core, jobs
from backends.kubernetes.templates import Manifest
from backends.kubernetes.words import ApiError
from backends.models import Bundle
from backends.storage import Storage

NVIDIA_CLASS = "nvidia"
GONE_S = 60.0
_NOT_FOUND, _CONFLICT = 404, 409


def find_class(api: Api, request: KubernetesRequest) -> KubernetesRequest:
    """Use the RuntimeClass nvidia where the cluster has it; without the right to look, the node's default is used."""
    if not request.find_class:
        return request
    try:
        api.get(f"{RUNTIME_CLASSES}/{NVIDIA_CLASS}")
    except ApiError:
        return request
    return request.with_runtime_class(NVIDIA_CLASS)


def create(api: Api, namespace: str, request: KubernetesRequest, bundle: Bundle) -> Object:
    """Create the Job and its inputs, or give the same job that is there already. Raises ApiError, BackendError."""
    with_class = together.start(lambda: find_class(api, request))
    _ask(api, namespace, request.job)
    request = with_class.result()
    if request.upload:
        put_inputs(api, namespace, request, bundle)
    job, new = _create_job(api, namespace, request.job)
    try:
        _create_inputs(api, namespace, request.inputs, job, new=new)
    except BaseException:
        with suppress(ApiError, BackendError):
            api.delete(jobs(namespace, job["metadata"]["name"]), propagationPolicy="Background")
        raise
    return job


def _ask(api: Api, namespace: str, manifest: Manifest) -> None:
    """Let the API server check the Job without creating it. One that is there already passed once."""
    try:
        api.create(jobs(namespace), manifest, dryRun="All")
    except ApiError as error:
        if error.code != _CONFLICT:
            raise


def put_inputs(api: Api, namespace: str, request: KubernetesRequest, bundle: Bundle) -> None:
    """Put the bundle where the job will look for it, unless it is there."""
    where = request.upload
    if where is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / names.BUNDLE_KEY
        source.write_bytes(bundle.data)
        _put(api, namespace, request.job, where, source)


def _put(api: Api, namespace: str, job: Manifest, where: place.Place, source: Path) -> None:
    if where.claim:
        with claim.helper(api, namespace, job, where.claim) as pod:
            claim.upload(api, namespace, pod, source, f"{where.path}/{names.BUNDLE_KEY}")
        return
    store = Storage(where.in_pod)
    if store.size(names.BUNDLE_KEY) != source.stat().st_size:
        store.put(names.BUNDLE_KEY, source)


def _create_job(api: Api, namespace: str, manifest: Manifest) -> tuple[Object, bool]:
    """Create it, and tell whether it is new; one of the same name has the same content.

    That stands for it unless it is over for nothing.
    """
    path = jobs(namespace, manifest["metadata"]["name"])
    try:
        return api.create(jobs(namespace), manifest), True
    except ApiError as error:
        if error.code != _CONFLICT:
            raise
    existing = api.get(path)
    if not _worth_keeping(existing):
        api.delete(path, propagationPolicy="Foreground", preconditions={"uid": existing["metadata"]["uid"]})
        _wait_until_gone(api, path)
        return api.create(jobs(namespace), manifest), True
    return existing, False


def _worth_keeping(job: Object) -> bool:
    """Whether the same job runs still, or has its outputs in a store."""
    annotations: dict[str, Any] = job["metadata"].get("annotations") or {}
    if "deletionTimestamp" in job["metadata"] or names.ANNOTATION_CANCELLED in annotations:
        return False
    if units.ended(job) is None:
        return True
    return units.condition(job, "Complete") is not None and names.ANNOTATION_STORE in annotations


def _wait_until_gone(api: Api, path: str) -> None:
    until = time.monotonic() + GONE_S
    while time.monotonic() < until:
        try:
            api.get(path)
        except ApiError as error:
            if error.code == _NOT_FOUND:
                return
            raise
        time.sleep(0.1)
    raise BackendError(
        "the earlier job of the same name does not go away", hint="`renderer delete` it, or give another --name"
    )


def _create_inputs(api: Api, namespace: str, manifest: Manifest, job: Object, *, new: bool) -> None:
    """Create the ConfigMap as the Job's own, so that it goes with it.

    One that is there beside a new Job was an earlier job's, and would go as soon as Kubernetes sees that.
    """
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }
    owned = {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [owner]}}
    try:
        api.create(core(namespace, "configmaps"), owned)
    except ApiError as error:
        if error.code != _CONFLICT:
            raise
        if new:
            api.delete(core(namespace, "configmaps", manifest["metadata"]["name"]))
            api.create(core(namespace, "configmaps"), owned)
