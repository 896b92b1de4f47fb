"""Kueue on the Kubernetes of `support.rigs.kwok`: its controller, webhooks and queues.

That Kubernetes has an API server of its own: Kueue's CRDs and webhooks, and what it decides, cannot reach the cluster
of the other tests, and nothing of it has to be removed.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from support.processes import until
from support.rigs.kubernetes import get, kubectl
from support.rigs.kwok import START_TIMEOUT_S, find_ports, read_end, run_process

NAMESPACE = "default"


def find_kueue() -> Path:
    """Return the folder with Kueue, or skip the test."""
    folder = os.environ.get("KUEUE_FOR_TESTS", "")
    if not folder:
        pytest.skip("no Kueue: tests/support/cluster/with has it, if it can be built in its time")
    return Path(folder)


@contextmanager
def running_kueue(folder: Path, built: Path) -> Iterator[None]:
    """Run Kueue on the cluster of KUBECONFIG during the block. It counts GPUs alone. ``built`` is its folder."""
    port, metrics, health = find_ports(3)
    certificate = _make_certificate(folder)
    _apply(_read_crds(built))
    kubectl("wait", "--for=condition=Established", "crd", "--all", f"--timeout={START_TIMEOUT_S:.0f}s")
    configuration = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "webhook": {"port": port, "host": "127.0.0.1", "certDir": str(folder)},
        "metrics": {"bindAddress": f"127.0.0.1:{metrics}"},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "integrations": {"frameworks": ["batch/job"]},
        "manageJobsWithoutQueueName": False,
        "resources": {"excludeResourcePrefixes": ["cpu", "memory", "ephemeral-storage"]},
        "fairSharing": {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]},
    }
    (folder / "kueue.yaml").write_text(yaml.safe_dump(configuration))
    # Kueue reads the certificate of its metrics from a fixed folder below /etc, which this process alone sees
    metrics_folder = "/etc/kueue/metrics/certs"
    prepare = f'mount -t tmpfs none /etc && mkdir -p {metrics_folder} && cp "$0"/tls.* {metrics_folder} && exec "$@"'
    command = [str(built / "kueue"), f"--config={folder}/kueue.yaml", "--feature-gates=VisibilityOnDemand=false"]
    command = ["unshare", "--mount", "sh", "-c", prepare, str(folder), *command]
    with run_process(folder, "kueue", command) as process:
        until(lambda: _is_ready(process, health, folder / "kueue.log"), within=START_TIMEOUT_S)
        _apply(_read_webhooks(built, port, certificate))
        yield


def _is_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    assert process.poll() is None, read_end(log)
    try:
        return bool(urllib3.request("GET", f"http://127.0.0.1:{port}/readyz", retries=False).status == 200)
    except urllib3.exceptions.HTTPError:
        return False


def _make_certificate(folder: Path) -> str:
    """Write tls.crt and tls.key of a server on loopback; return the certificate as a webhook's caBundle."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kueue"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return base64.b64encode((folder / "tls.crt").read_bytes()).decode()


def _load(path: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader))


def _read_crds(built: Path) -> list[dict[str, Any]]:
    """Return the CRDs with the version that is stored alone: no webhook has to convert the others."""
    crds = _load(built / "crds.yaml")
    for crd in crds:
        crd["spec"]["versions"] = [version for version in crd["spec"]["versions"] if version["storage"]]
    return crds


def _read_webhooks(built: Path, port: int, certificate: str) -> list[dict[str, Any]]:
    """Return the webhooks for Jobs and for Kueue's own objects, at the port of this machine."""
    configurations = _load(built / "webhooks.yaml")
    for configuration in configurations:
        kept = []
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"].pop("service")["path"]
            if "batch-v1-job" in path or "kueue-x-k8s-io" in path:
                webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": certificate}
                kept.append(webhook)
        configuration["webhooks"] = kept
    return configurations


def _apply(objects: list[dict[str, Any]]) -> None:
    body = {"apiVersion": "v1", "kind": "List", "items": objects}
    kubectl("create", "-f", "-", content=json.dumps(body))


def create_queues(quotas: dict[str, int]) -> None:
    """Create a queue of each name with its number of GPUs; what one does not use, the others may."""
    flavor: dict[str, Any] = {"metadata": {"name": "l4"}, "kind": "ResourceFlavor"}
    objects = [flavor, {"kind": "Cohort", "metadata": {"name": "all"}}]
    preemption = {"withinClusterQueue": "LowerPriority", "reclaimWithinCohort": "Any"}
    for name, gpus in quotas.items():
        quota = [{"name": "l4", "resources": [{"name": "nvidia.com/gpu", "nominalQuota": gpus}]}]
        groups = [{"coveredResources": ["nvidia.com/gpu"], "flavors": quota}]
        spec = {"cohortName": "all", "namespaceSelector": {}, "resourceGroups": groups, "preemption": preemption}
        objects.append({"kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec})
        local = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"clusterQueue": name}}
        objects.append({"kind": "LocalQueue", **local})
    _apply([{"apiVersion": "kueue.x-k8s.io/v1beta2", **each} for each in objects])
    until(lambda: all(_is_active(name) for name in quotas))


def _is_active(queue: str) -> bool:
    conditions = get("clusterqueue", queue).get("status", {}).get("conditions", [])
    return any(each["type"] == "Active" and each["status"] == "True" for each in conditions)
