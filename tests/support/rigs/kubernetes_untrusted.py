"""The Kubernetes backend for untrusted jobs: in gVisor, in a namespace of `renderer setup k8s --untrusted`."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.commands import BIN
from support.rigs.base import Rig
from support.rigs.kubernetes import KubernetesRig, copy_kubeconfig, kubectl, require_cluster


@contextmanager
def untrusted_user(folder: Path) -> Iterator[tuple[str, Path]]:
    """Set up a namespace; yield its name, and a kubeconfig with the permissions of its ServiceAccount."""
    require_cluster()
    if "gvisor" not in kubectl("get", "runtimeclasses", "-o", "name"):
        pytest.skip("the cluster has no RuntimeClass gvisor; that of tests/support/cluster has")
    name = f"renderer-untrusted-{secrets.token_hex(4)}"
    setup: list[str | Path] = [BIN / "renderer", "setup", "k8s", "--namespace", name, "--untrusted", "--cluster"]
    subprocess.run([*setup, "--apply"], check=True, capture_output=True)
    try:
        token = kubectl("create", "token", "renderer", "-n", name).strip()
        yield name, copy_kubeconfig(folder, name, token=token)
    finally:
        kubectl("delete", "namespace", name, "--wait=false")
        kubectl("delete", "clusterrolebinding", f"renderer-{name}", "clusterrole/renderer", check=False)


@contextmanager
def enforced_policies() -> Iterator[None]:
    """Let kube-router enforce the NetworkPolicies of the tests' own cluster during the block, as k3s does."""
    if not os.environ.get("KUBE_ROUTER_FOR_TESTS"):
        pytest.skip("no kube-router; the cluster of tests/support/cluster has it")
    script = Path(os.environ["CLUSTER_PARTS"]).with_name("policies")
    subprocess.run([script, "start"], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([script, "stop"], check=True, capture_output=True)


@contextmanager
def untrusted_kubernetes(folder: Path) -> Iterator[Rig]:
    """Yield a rig whose pods are in gVisor without a network, and whose user has the rights that the set-up gives."""
    image = require_cluster()
    with untrusted_user(folder) as (name, kubeconfig), pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubeconfig))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        settings = {"k8s.namespace": name, "k8s.runtime_class": "gvisor", "image": image, "gpu": "none", "cpu": 0.5}
        yield KubernetesRig("k8s", {**settings, "memory": "2Gi", "k8s.ephemeral_storage": "1Gi"})
