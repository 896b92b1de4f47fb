"""Transfer pods: small pods without a GPU. Through them the client, outside the cluster, reads and writes a PVC."""

from __future__ import annotations

import io
import logging
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backends.errors import BackendError, StoreMissingError
from backends.image.worker_archive import build_worker_archive
from backends.kubernetes import names
from backends.kubernetes.client.client import Api, JsonObject
from backends.kubernetes.client.errors import NotFoundError
from backends.kubernetes.client.paths import core_path
from backends.kubernetes.client.pod_exec import run_command
from backends.kubernetes.manifests.templates import render_template
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import parse_pod
from backends.kubernetes.observe import pending
from backends.problem import Problem
from backends.untrusted import show_line

_log = logging.getLogger(__name__)

START_TIMEOUT_S = 900.0  # a node may have to be created first, and an image of gigabytes pulled
POLL_INTERVAL_S = 0.2  # grows while a pod waits
MAX_POLL_INTERVAL_S = 2.0
QUIET_TIMEOUT_S = 5.0  # a wait that is longer is explained to the user
_NO_CLAIM = r"persistentvolumeclaim .* (not found|is being deleted)"


@contextmanager
def run_transfer_pod(api: Api, namespace: str, job: Job, claim: str) -> Iterator[str]:
    """Run a pod during the block that has a job's PVC mounted; yields its name. Raises ApiError, BackendError."""
    container = job.pod_spec["containers"][0]
    values: dict[str, object] = {
        **_copy_placement(job.pod_spec),
        "image": container["image"],
        "image_pull_policy": container.get("imagePullPolicy"),
        "owners": [job.owner_reference] if job.uid and not job.removed else [],
        "mounts": [
            {"name": "store", "mountPath": str(names.STORE)},
            {"name": "worker", "mountPath": str(names.TRANSFER_WORKER.parent)},
        ],
        "volumes": [
            {"name": "store", "persistentVolumeClaim": {"claimName": claim}},
            {"name": "worker", "emptyDir": {"sizeLimit": "4Mi"}},
        ],
    }
    with run_idle_pod(api, namespace, job.name, values) as name, tempfile.NamedTemporaryFile() as file:
        file.write(build_worker_archive())
        file.flush()
        receive = f"head -c {len(build_worker_archive())} >{names.TRANSFER_WORKER}"
        run_command(api, namespace, name, ["sh", "-c", receive], source=Path(file.name))
        yield name


def _copy_placement(pod_spec: JsonObject) -> dict[str, object]:
    """Return the fields with which another pod runs on the same nodes as the job's pods, with the same image."""
    return {
        "image_pull_secrets": pod_spec.get("imagePullSecrets") or [],
        "runtime_class": None,
        "node_selector": pod_spec.get("nodeSelector"),
        "service_account": pod_spec.get("serviceAccountName"),
        "tolerations": pod_spec.get("tolerations"),
    }


@contextmanager
def run_idle_pod(
    api: Api, namespace: str, owner: str, values: Mapping[str, object], timeout_s: float = START_TIMEOUT_S
) -> Iterator[str]:
    """Run a small idle pod during the block, in which the caller can run commands; yields its name when it runs.

    ``values`` fill the template k8s/helper.yaml.j2. Raises ApiError, BackendError.
    """
    name = f"{owner}-files-{time.time_ns() % 10**8:08d}"
    labels = names.job_labels(owner, names.TRANSFER_COMPONENT)
    (manifest,) = render_template("helper", {"name": name, "namespace": namespace, "labels": labels, **values})
    api.create(core_path(namespace, "pods"), manifest)
    try:
        _wait_until_running(api, namespace, name, timeout_s)
        yield name
    finally:
        api.delete(core_path(namespace, "pods", name), gracePeriodSeconds=0)


def _wait_until_running(api: Api, namespace: str, name: str, timeout_s: float) -> None:
    """Wait until a transfer pod runs, and log from time to time what it waits for. Raises ApiError, BackendError."""
    started = time.monotonic()
    problem, logged = None, None
    while (waited := time.monotonic() - started) < timeout_s:
        try:
            pod = parse_pod(api.get(core_path(namespace, "pods", name)), names.TRANSFER_COMPONENT)
        except NotFoundError:
            pod = None
        if pod is None or pod.deleted:
            raise BackendError("somebody deleted the transfer pod before it ran", hint="run the command again")
        if pod.phase == "Running":
            return
        problem = pending.explain_idle_pod(api, namespace, pod) or problem
        if pod.phase == "Failed" or (problem and (problem.exit_code is not None or _is_claim_missing(problem))):
            break
        if waited > QUIET_TIMEOUT_S and logged != (words := problem.message if problem else "its node prepares it"):
            _log.warning("waiting for the pod %s: %s", name, show_line(words))
            logged = words
        time.sleep(min(POLL_INTERVAL_S * (1 + waited), MAX_POLL_INTERVAL_S))
    problem = problem or Problem(message=f"it has not started within {timeout_s:.0f} s")
    error_class = StoreMissingError if _is_claim_missing(problem) else BackendError
    raise error_class(
        f"the transfer pod did not start: {problem.message}",
        hint=problem.hint or "`kubectl get events` shows what happened to it",
    )


def _is_claim_missing(problem: Problem) -> bool:
    return re.search(_NO_CLAIM, problem.message) is not None


def upload_file(api: Api, namespace: str, pod: str, source: Path, target: str) -> None:
    """Upload a file into the PVC that a transfer pod has mounted; ``target`` is a path in it."""
    size = source.stat().st_size
    run_command(api, namespace, pod, [*names.TRANSFER_COMMAND, "receive", target, str(size)], source=source)
    _log.debug("uploaded %d bytes through pod %s", size, pod)


def expire_folder(api: Api, namespace: str, pod: str, folder: str, age_s: float, *, dry_run: bool) -> bytes:
    """Remove old files of a folder of the PVC that a transfer pod has mounted, and return a line for each."""
    answer = io.BytesIO()
    command = [*names.TRANSFER_COMMAND, "expire", folder, str(age_s), *(["--dry-run"] if dry_run else [])]
    run_command(api, namespace, pod, command, output=answer.write)
    return answer.getvalue()


def remove_folder(api: Api, namespace: str, pod: str, folder: str) -> None:
    """Remove a folder of the PVC that a transfer pod has mounted."""
    run_command(api, namespace, pod, [*names.TRANSFER_COMMAND, "remove", folder])
