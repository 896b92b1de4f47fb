"""A Kubernetes of nodes that do not exist: its control plane is real, kwok plays the nodes.

It has a control plane of its own, so that the cluster of the other tests does not get the nodes, and their removal,
which takes longer than all that is tested, is not needed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.processes import until
from support.rigs.kubernetes import wait_for_namespace

from backends.kubernetes.client.client import Api

PRODUCT = "NVIDIA-L4"
LOG = "2026-01-01T00:00:00.000000000Z stdout F openjd_progress: 40\n"  # of every pod, as a container runtime writes it
LABEL_ENDS = {"renderer.test/ends": "yes"}  # pods with it end at once, others run until they are deleted
STAGES = Path(__file__).parents[1] / "cluster" / "kwok.yaml"
START_TIMEOUT_S = 120.0


def _find_kwok() -> str:
    """Return the path of kwok, or skip the test."""
    program = os.environ.get("KWOK_FOR_TESTS", "")
    if not program or not shutil.which("kube-apiserver"):
        pytest.skip("no kwok: tests/support/cluster/with has it, if it can be built in its time")
    return program


@contextmanager
def fake_nodes(folder: Path, count: int) -> Iterator[Path]:
    """Run a cluster of ``count`` nodes during the block; yield its kubeconfig, which KUBECONFIG names meanwhile."""
    program = _find_kwok()
    ports = find_ports(6)
    kubeconfig = _write_files(folder, ports[0])
    with ExitStack() as running:
        for name, command in _list_commands(folder, ports, program).items():
            running.enter_context(run_process(folder, name, command))
            if name == "kube-apiserver":
                _wait_for_server(kubeconfig)
        patch = running.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("KUBECONFIG", str(kubeconfig))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        _create_nodes(Api(None), count, ports[-1])
        wait_for_namespace("default")
        yield kubeconfig


def find_ports(count: int) -> list[int]:
    """Return free ports; none that the system gives to connections, because a part may start late."""
    found: list[int] = []
    for port in secrets.SystemRandom().sample(range(20_000, 32_000), 1000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    pytest.fail("this machine has no free ports")


def _write_files(folder: Path, port: int) -> Path:
    subprocess.run(["openssl", "genrsa", "-out", folder / "key", "2048"], check=True, capture_output=True)
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (folder / "pod.log").write_text(LOG)
    logs = {"spec": {"logs": [{"logsFile": str(folder / "pod.log")}]}, "metadata": {"name": "all"}}
    rules = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "ClusterLogs", **logs}
    (folder / "kwok.yaml").write_text(f"{STAGES.read_text('utf-8')}\n---\n{yaml.safe_dump(rules)}")
    kubeconfig = folder / "kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "admin", "namespace": "default"}}],
        "current-context": "fake",
    }
    kubeconfig.write_text(yaml.safe_dump(content))
    return kubeconfig


def _list_commands(folder: Path, ports: list[int], kwok: str) -> dict[str, list[str]]:
    server, etcd, peer, controllers, scheduler, nodes = ports
    access = [f"--kubeconfig={folder}/kubeconfig"]
    quick = ["--leader-elect=false", "--bind-address=127.0.0.1", "--kube-api-qps=2000", "--kube-api-burst=2000"]
    store, between = f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peer}"
    return {
        "etcd": [
            *("etcd", "--name=fake", f"--data-dir={folder}/etcd", "--unsafe-no-fsync", "--log-level=warn"),
            *(f"--listen-client-urls={store}", f"--advertise-client-urls={store}"),
            *(f"--listen-peer-urls={between}", f"--initial-advertise-peer-urls={between}"),
            f"--initial-cluster=fake={between}",
        ],
        "kube-apiserver": [
            *("kube-apiserver", "--bind-address=127.0.0.1", f"--secure-port={server}", f"--etcd-servers={store}"),
            *(f"--cert-dir={folder}/certificates", f"--token-auth-file={folder}/tokens.csv"),
            *("--service-cluster-ip-range=10.96.0.0/24", "--advertise-address=127.0.0.1", "--authorization-mode=RBAC"),
            *("--endpoint-reconciler-type=none", "--kubelet-preferred-address-types=InternalIP"),
            *("--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={folder}/key"),
            *(f"--service-account-signing-key-file={folder}/key", "--profiling=false"),
        ],
        "kube-controller-manager": [
            *("kube-controller-manager", *access, *quick, f"--secure-port={controllers}"),
            *(f"--cert-dir={folder}/certificates", f"--service-account-private-key-file={folder}/key"),
            "--node-monitor-grace-period=24h",  # the nodes report nothing
        ],
        "kube-scheduler": [
            *("kube-scheduler", *access, *quick, f"--secure-port={scheduler}", f"--cert-dir={folder}/certificates"),
        ],
        "kwok": [
            *(kwok, *access, f"--config={folder}/kwok.yaml", "--manage-all-nodes=true", "--node-ip=127.0.0.1"),
            *(f"--server-address=127.0.0.1:{nodes}", f"--node-port={nodes}", "--node-lease-duration-seconds=0"),
            *(f"--tls-cert-file={folder}/certificates/apiserver.crt",),
            *(f"--tls-private-key-file={folder}/certificates/apiserver.key",),
        ],
    }


@contextmanager
def run_process(folder: Path, name: str, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process during the block, or as long as this process lives; its log is NAME.log in the folder."""
    command = ["setpriv", "--pdeathsig", "KILL", *command]
    environment = {**os.environ, "HOME": str(folder)}
    with (
        (folder / f"{name}.log").open("wb") as log,
        subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, cwd=folder
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _wait_for_server(kubeconfig: Path) -> None:
    command = ["kubectl", "--kubeconfig", str(kubeconfig), "get", "--raw", "/readyz"]

    def ready() -> bool:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    until(ready, within=START_TIMEOUT_S, describe=lambda: read_end(kubeconfig.with_name("kube-apiserver.log")))


def read_end(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _create_nodes(api: Api, count: int, port: int) -> None:
    amount = {"cpu": "4", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110", "nvidia.com/gpu": "1"}
    status: dict[str, Any] = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "capacity": amount,
        "allocatable": amount,
        "conditions": [{"type": "Ready", "status": "True"}],
    }

    def create(number: int) -> None:
        metadata = {"name": f"node-{number:04d}", "labels": {"nvidia.com/gpu.product": PRODUCT}}
        api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(count)))
