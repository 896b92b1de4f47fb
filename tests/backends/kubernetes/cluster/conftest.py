from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from support.processes import until
from support.rigs.kubernetes import Parts, get
from support.rigs.kubernetes_fixtures import claim, cluster, namespace, rig, run, s3

__all__ = ["claim", "cluster", "namespace", "rig", "run", "s3"]


@pytest.fixture
def parts(cluster: str) -> Iterator[Parts]:
    """Return a function that stops and starts parts of the cluster, where the cluster is the tests' own."""
    assert cluster
    script = os.environ.get("CLUSTER_PARTS")
    if not script:
        pytest.skip("takes the cluster's own processes away: only on the cluster of tests/support/cluster")

    called = []

    def call(*words: str) -> None:
        called.append(words)
        subprocess.run([script, *words], check=True, timeout=60)

    yield call
    if (
        "kill",
        "kube-apiserver",
    ) in called:  # the kubelet would poll rarely for a while
        call("kill", "kubelet")
        last = heartbeats()
        call("start", "kubelet")
        until(lambda: heartbeats() != last)


def heartbeats() -> list[str]:
    """Return the times at which the kubelets last reported the state of their nodes."""
    return [item["lastHeartbeatTime"] for node in get("nodes")["items"] for item in node["status"]["conditions"]]
