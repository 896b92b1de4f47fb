"""Creates a job on the cluster. After an error, no object is left behind."""

from __future__ import annotations

import functools
import logging
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from backends.errors import BackendError
from backends.kubernetes import names
from backends.kubernetes.client import threads
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from backends.kubernetes.client.paths import RUNTIME_CLASSES, core_path, jobs_path
from backends.kubernetes.manifests.job import KubernetesRequest
from backends.kubernetes.manifests.store_uri import StoreFolder
from backends.kubernetes.manifests.templates import Manifest
from backends.kubernetes.objects.job import Job, parse_job
from backends.kubernetes.objects.pod import select_latest
from backends.kubernetes.objects.snapshot import JobSnapshot
from backends.kubernetes.observe.reflector import PodReflector
from backends.kubernetes.observe.status import read_status
from backends.kubernetes.transfer.transfer_pod import run_transfer_pod, upload_file
from backends.models import Bundle, JobHandle, JobState
from backends.storage import Storage

_log = logging.getLogger(__name__)

NVIDIA_CLASS = "nvidia"
DELETION_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.1


def resolve_runtime_class(api: Api, request: KubernetesRequest) -> KubernetesRequest:
    """Return the request with the RuntimeClass nvidia, if the cluster has it and the user may read it."""
    if not request.detect_runtime_class:
        return request
    try:
        api.get(f"{RUNTIME_CLASSES}/{NVIDIA_CLASS}")
    except ApiError:
        return request
    return request.with_runtime_class(NVIDIA_CLASS)


def create_job(api: Api, namespace: str, request: KubernetesRequest, bundle: Bundle) -> Job:
    """Create the Job and its inputs, and return the Job. An identical one that exists is reused.

    Raises ApiError, BackendError.
    """
    request = resolve_runtime_class(api, request)
    if request.upload:  # which is not begun for a Job that the server refuses
        with suppress(AlreadyExistsError):  # an identical Job exists, so it is valid
            api.create(jobs_path(namespace), request.job, dryRun="All")
        upload_bundle(api, namespace, request, bundle)
    job, is_new = _create_or_reuse_job(api, namespace, request.job)
    try:
        create_inputs(api, namespace, request, job, is_new=is_new)
    except BaseException:
        if is_new:
            with suppress(ApiError, BackendError):
                api.delete(jobs_path(namespace, job.name), propagationPolicy="Background")
        raise
    return job


def upload_bundle(api: Api, namespace: str, request: KubernetesRequest, bundle: Bundle) -> None:
    """Upload the bundle to the job's store, if it has one. Raises ApiError, BackendError."""
    if request.upload is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / names.BUNDLE_KEY
        source.write_bytes(bundle.data)
        _upload(api, namespace, parse_job(request.job), request.upload, source)


def _upload(api: Api, namespace: str, job: Job, store: StoreFolder, source: Path) -> None:
    if store.claim:
        with run_transfer_pod(api, namespace, job, store.claim) as pod:
            upload_file(api, namespace, pod, source, f"{store.path}/{names.BUNDLE_KEY}")
        return
    storage, size = Storage(store.uri_in_pod), source.stat().st_size
    if storage.size(names.BUNDLE_KEY) != size:
        storage.put(names.BUNDLE_KEY, source)
        _log.debug("uploaded the bundle, %d bytes", size)


def _create_or_reuse_job(api: Api, namespace: str, manifest: Manifest) -> tuple[Job, bool]:
    """Return the Job, and whether it is new.

    The name contains a hash of the content. So a Job of the same name is identical: it is reused, unless it failed, was
    cancelled, or has lost its outputs.
    """
    path = jobs_path(namespace, manifest["metadata"]["name"])
    handle = JobHandle(names.BACKEND, (api.context.name, namespace, manifest["metadata"]["name"]))
    until = time.monotonic() + DELETION_TIMEOUT_S
    while time.monotonic() < until:
        with suppress(AlreadyExistsError):
            return parse_job(api.create(jobs_path(namespace), manifest)), True
        with suppress(NotFoundError, ConflictError):  # another client may do the same at this moment
            existing = parse_job(api.get(path))
            if not existing.deleted:
                if _is_reusable(api, handle, existing):
                    return existing, False
                api.delete(path, propagationPolicy="Foreground", preconditions={"uid": existing.uid})
        time.sleep(POLL_INTERVAL_S)
    raise BackendError(
        f"the earlier job of the same name still exists after {DELETION_TIMEOUT_S:.0f} s",
        hint=f"`renderer delete {handle}` deletes it; or choose another --name",
    )


def _is_reusable(api: Api, handle: JobHandle, job: Job) -> bool:
    """Return whether the Job may still succeed, or has succeeded and has its outputs in a store."""
    if job.cancelled:
        return False
    if job.succeeded:
        return (job.store or job.shelf) is not None
    namespace = handle.parts[1]
    snapshot = JobSnapshot(job, select_latest(PodReflector(api, namespace, job.name).list_pods()))
    return read_status(api, namespace, handle, snapshot).state is not JobState.FAILED


def create_inputs(api: Api, namespace: str, request: KubernetesRequest, job: Job, *, is_new: bool) -> None:
    """Create the ConfigMaps of a job that do not exist, owned by the Job, so that Kubernetes deletes all together.

    If the Job is new and a ConfigMap exists, it belongs to an earlier Job and will be deleted soon. So replace it.
    """
    threads.run_all(
        functools.partial(_create_input, api, namespace, manifest, job, is_new=is_new) for manifest in request.inputs
    )


def _create_input(api: Api, namespace: str, manifest: Manifest, job: Job, *, is_new: bool) -> None:
    owned = {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [job.owner_reference]}}
    with suppress(AlreadyExistsError):
        api.create(core_path(namespace, "configmaps"), owned)
        return
    if is_new:
        api.delete(core_path(namespace, "configmaps", manifest["metadata"]["name"]))
        api.create(core_path(namespace, "configmaps"), owned)
