"""Reads and writes a claim from outside the cluster, through a short pod without a GPU that mounts it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.errors import BackendError, StoreMissingError
from backends.kubernetes import names
from backends.kubernetes.client import pod_exec
from backends.kubernetes.client.client import Api, Object
from backends.kubernetes.client.paths import core
from backends.kubernetes.manifests.templates import render
from backends.kubernetes.observe import diagnosis, unit_pods
from backends.kubernetes.transfer.collector import POD_COMMAND

START_S = 900.0  # a node may have to be made first, and an image of gigabytes pulled
POLL_S = 0.2
_NO_CLAIM = r"persistentvolumeclaim .* (not found|is being deleted)"


@contextmanager
def helper(api: Api, namespace: str, job: Object, claim: str) -> Iterator[str]:
    """Run the pod that mounts the job's claim as long as the block lasts; gives its name. Raises BackendError."""
    spec = job["spec"]["template"]["spec"]
    container = spec["containers"][0]
    values: dict[str, Any] = {
        **like(spec),
        "image": container["image"],
        "image_pull_policy": container.get("imagePullPolicy"),
        "owners": [unit_pods.owner(job)] if "uid" in job["metadata"] else [],
        "mounts": [{"name": "store", "mountPath": str(names.STORE)}],
        "volumes": [{"name": "store", "persistentVolumeClaim": {"claimName": claim}}],
    }
    with idle_pod(api, namespace, job["metadata"]["name"], values) as name:
        yield name


def like(spec: Object) -> dict[str, Any]:
    """Give what brings a pod to the nodes of another one, and its image there; ``spec`` is that pod's."""
    return {
        "image_pull_secrets": spec.get("imagePullSecrets") or [],
        "node_selector": spec.get("nodeSelector"),
        "service_account": spec.get("serviceAccountName"),
        "tolerations": spec.get("tolerations"),
    }


@contextmanager
def idle_pod(api: Api, namespace: str, owner: str, values: dict[str, Any], within: float = START_S) -> Iterator[str]:
    """Run a small pod of the image that does nothing; gives its name once it runs. Raises BackendError, ApiError."""
    name = f"{owner}-files-{time.time_ns() % 10**8:08d}"
    given = {"name": name, "namespace": namespace, "labels": names.labels(owner, names.HELPER), **values}
    (manifest,) = render("helper", given)
    api.create(core(namespace, "pods"), manifest)
    try:
        _wait(api, core(namespace, "pods", name), within)
        yield name
    finally:
        api.delete(core(namespace, "pods", name), gracePeriodSeconds=0)


def _wait(api: Api, path: str, within: float) -> None:
    until = time.monotonic() + within
    why = "it has not started"
    while time.monotonic() < until:
        found = api.get(path)
        status = found.get("status", {})
        if status.get("phase") == "Running":
            return
        waiting: Object = next(
            (c.get("state", {}).get("waiting", {}) for c in status.get("containerStatuses") or []), {}
        )
        reason = diagnosis.cannot_start(waiting)
        scheduled = unit_pods.pod(found).conditions.get("PodScheduled", {})
        if scheduled.get("status") == "False":
            reason = diagnosis.cannot_schedule(str(scheduled.get("message")), None)
        why = reason.message if reason else why
        if status.get("phase") == "Failed" or (reason and reason.final) or re.search(_NO_CLAIM, why):
            break
        time.sleep(POLL_S)
    kind = StoreMissingError if re.search(_NO_CLAIM, why) else BackendError
    raise kind(f"the helper pod did not start: {why}", hint="`kubectl describe` the claim, or the image's pull")


def upload(api: Api, namespace: str, pod: str, source: Path, target: str) -> None:
    """Copy a file into the claim; ``target`` is relative to it."""
    command = [*POD_COMMAND, "receive", target, str(source.stat().st_size)]
    pod_exec.run(api, namespace, pod, command, source=source)


def remove(api: Api, namespace: str, pod: str, folder: str) -> None:
    """Remove a folder of the claim."""
    pod_exec.run(api, namespace, pod, [*POD_COMMAND, "remove", folder])
