from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from support.processes import until
from support.rigs.kubernetes import Parts, get, kubectl
from support.rigs.kubernetes_fixtures import claim, cluster, namespace, rig, run, s3

__all__ = ["claim", "cluster", "namespace", "rig", "run", "s3"]


@pytest.fixture
def parts(cluster: str) -> Iterator[Parts]:
    """Return a function that stops and starts parts of the cluster, where the cluster is the tests' own."""
    assert cluster
    script = os.environ.get("CLUSTER_PARTS")
    if not script:
        pytest.skip("takes the cluster's own processes away: only on the cluster of tests/support/cluster")

    gpus, called = count_gpus(), []

    def call(*words: str) -> None:
        called.append(words)
        subprocess.run([script, *words], check=True, timeout=600)

    yield call
    if ("kill", "kube-apiserver") in called:  # the kubelet would poll rarely for a while
        call("kill", "kubelet")
    last = heartbeats()
    if ("kill", "kubelet") in called:
        call("start", "kubelet")
        # it knows of no GPU until their plugin comes back, and would reject a pod that wants one
        until(lambda: heartbeats() != last and count_gpus() == gpus, describe=describe_nodes)


def heartbeats() -> list[str]:
    """Return the times at which the kubelets last reported the state of their nodes."""
    return [item["lastHeartbeatTime"] for node in get("nodes")["items"] for item in node["status"]["conditions"]]


def count_gpus() -> list[str]:
    """Return how many GPUs each node offers to pods."""
    return [node["status"]["allocatable"].get("nvidia.com/gpu", "0") for node in get("nodes")["items"]]


def describe_nodes() -> str:
    return kubectl("describe", "nodes", check=False)
