"""Creates a job: asks first, creates then, and leaves nothing behind when something fails on the way."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from backends.errors import BackendError
from backends.kubernetes import names
from backends.kubernetes.client import threads
from backends.kubernetes.client.client import Api, Object
from backends.kubernetes.client.errors import ApiError, allowing
from backends.kubernetes.client.paths import RUNTIME_CLASSES, core, jobs
from backends.kubernetes.manifests import store_uri
from backends.kubernetes.manifests.job import KubernetesRequest
from backends.kubernetes.manifests.templates import Manifest
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.observe.reflector import Pods
from backends.kubernetes.observe.snapshot import JobView
from backends.kubernetes.observe.status import read as read_status
from backends.kubernetes.transfer import helper_pod
from backends.models import Bundle, JobHandle, JobState
from backends.storage import Storage

NVIDIA_CLASS = "nvidia"
GONE_S = 60.0
PAUSE_S = 0.1


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
    with_class = threads.start(lambda: find_class(api, request))
    _ask(api, namespace, request.job)
    request = with_class.result()
    if request.upload:
        put_inputs(api, namespace, request, bundle)
    job, new = _create_job(api, namespace, request.job)
    try:
        _create_inputs(api, namespace, request.inputs, job, new=new)
    except BaseException:
        if new:
            with suppress(ApiError, BackendError):
                api.delete(jobs(namespace, job["metadata"]["name"]), propagationPolicy="Background")
        raise
    return job


def _ask(api: Api, namespace: str, manifest: Manifest) -> None:
    """Let the API server check the Job without creating it. One that is there already passed once."""
    with allowing("AlreadyExists"):
        api.create(jobs(namespace), manifest, dryRun="All")


def put_inputs(api: Api, namespace: str, request: KubernetesRequest, bundle: Bundle) -> None:
    """Put the bundle where the job will look for it, unless it is there."""
    where = request.upload
    if where is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / names.BUNDLE_KEY
        source.write_bytes(bundle.data)
        _put(api, namespace, request.job, where, source)


def _put(api: Api, namespace: str, job: Manifest, where: store_uri.Place, source: Path) -> None:
    if where.claim:
        with helper_pod.helper(api, namespace, job, where.claim) as pod:
            helper_pod.upload(api, namespace, pod, source, f"{where.path}/{names.BUNDLE_KEY}")
        return
    store = Storage(where.in_pod)
    if store.size(names.BUNDLE_KEY) != source.stat().st_size:
        store.put(names.BUNDLE_KEY, source)


def _create_job(api: Api, namespace: str, manifest: Manifest) -> tuple[Object, bool]:
    """Create it, and tell whether it is new; one of the same name has the same content.

    That stands for it unless it is over for nothing.
    """
    path = jobs(namespace, manifest["metadata"]["name"])
    until = time.monotonic() + GONE_S
    while time.monotonic() < until:
        with allowing("AlreadyExists"):
            return api.create(jobs(namespace), manifest), True
        with allowing("NotFound", "Conflict"):  # another client may be doing the same
            existing = api.get(path)
            if "deletionTimestamp" not in existing["metadata"]:
                if _worth_keeping(api, namespace, existing):
                    return existing, False
                only = {"uid": existing["metadata"]["uid"]}
                api.delete(path, propagationPolicy="Foreground", preconditions=only)
        time.sleep(PAUSE_S)
    raise BackendError(
        "the earlier job of the same name does not go away", hint="`renderer delete` it, or give another --name"
    )


def _worth_keeping(api: Api, namespace: str, job: Object) -> bool:
    """Whether the same job runs still and may end well, or has its outputs in a store."""
    annotations: dict[str, Any] = job["metadata"].get("annotations") or {}
    if names.ANNOTATION_CANCELLED in annotations:
        return False
    if unit_pods.condition(job, "Complete"):
        return names.ANNOTATION_STORE in annotations
    name = job["metadata"]["name"]
    handle = JobHandle(names.BACKEND, (api.context.name, namespace, name))
    view = JobView(job, unit_pods.latest(Pods(api, namespace, name).read()))
    return read_status(api, namespace, handle, view).state is not JobState.FAILED


def _create_inputs(api: Api, namespace: str, manifest: Manifest, job: Object, *, new: bool) -> None:
    """Create the ConfigMap as the Job's own, so that it goes with it.

    One that is there beside a new Job was an earlier job's, and would go as soon as Kubernetes sees that.
    """
    owned = {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [unit_pods.owner(job)]}}
    with allowing("AlreadyExists"):
        api.create(core(namespace, "configmaps"), owned)
        return
    if new:
        api.delete(core(namespace, "configmaps", manifest["metadata"]["name"]))
        api.create(core(namespace, "configmaps"), owned)
