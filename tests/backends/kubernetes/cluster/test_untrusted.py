"""Jobs with --untrusted in gVisor, in a namespace of `renderer setup k8s --untrusted`, with the rights that it gives.

The test cluster's network enforces policies only while kube-router runs. Its RuntimeClass gvisor has no network at all;
pods of gvisor-with-network are on the network of all pods.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.commands import SMALL, environment, output, renderer
from support.processes import until
from support.rigs.kubernetes import get, kubectl
from support.rigs.kubernetes_untrusted import enforced_policies, untrusted_user

NODE = "10.213.57.1"  # the node's address on the pods' bridge
# What it prints proves the sandbox: a kernel of its own, no network but its own loopback, no token, no Secret.
SCRIPT = """\
import os, pathlib, socket
print("kernel", os.uname().release, flush=True)
print("interfaces", [name for _, name in socket.if_nameindex()])
for target in [(os.environ["KUBERNETES_SERVICE_HOST"], 443), ("10.213.57.1", 17070), ("1.1.1.1", 443)]:
    try:
        socket.create_connection(target, 2)
        print("reached", *target)
    except OSError as error:
        print("closed", type(error).__name__)
print("token", os.path.exists("/var/run/secrets/kubernetes.io"))
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "out.txt").write_text("made")
"""
# From its first line on it tries to get out.
CONNECTS = """\
import os, pathlib, socket
print("interfaces", [name for _, name in socket.if_nameindex()], flush=True)
for target in {targets}:
    try:
        socket.create_connection(target, 1)
        print("reached", target)
    except OSError as error:
        print("closed", target, error)
    with socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        try:
            datagrams.sendto(b"query", target)
        except OSError as error:
            print("not sent", target, error)
"""
SCENE = """\
from manim import *

class Moves(Scene):
    def construct(self):
        self.play(Create(Circle()), run_time=0.5)
"""


@contextmanager
def run_peer(image: str) -> Iterator[str]:
    """Run a pod that listens, in a namespace without policies; yield its address."""
    container = {"name": "peer", "image": image, "command": ["python", "-m", "http.server", "8000"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "peer"}, "spec": spec}
    kubectl("apply", "-n", "default", "-f", "-", content=json.dumps(manifest))
    try:
        kubectl("wait", "-n", "default", "--for=condition=Ready", "pod/peer", "--timeout=600s")
        yield get("pod", "peer", "-n", "default")["status"]["podIP"]
    finally:
        kubectl("delete", "pod", "peer", "-n", "default", "--wait=false")


def can_connect(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def user(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Set up the namespace; yield the environment of a user with the permissions of its ServiceAccount."""
    folder = tmp_path_factory.mktemp("user")
    settings = {
        "BACKEND": "k8s",
        "IMAGE": cluster,
        "CPU": "0.5",
        "MEMORY": "2Gi",
        "GPU": "none",
        "K8S_EPHEMERAL_STORAGE": "1Gi",
        "K8S_RUNTIME_CLASS": "gvisor",
    }
    variables = {f"RENDERER_{key}": value for key, value in settings.items()}
    with untrusted_user(folder) as (name, kubeconfig):
        yield environment(folder, KUBECONFIG=str(kubeconfig), RENDERER_K8S_NAMESPACE=name, **variables)


def test_untrusted_jobs_run_in_a_sandbox_that_is_proven_once(user: dict[str, str], tmp_path: Path) -> None:
    project = tmp_path / "some where"
    project.mkdir()
    (project / "job.py").write_text(SCRIPT)
    (project / "scene.py").write_text(SCENE)
    done = renderer("submit", "job.py", "--untrusted", "--json", cwd=project, env=user)
    assert done.returncode == 0, done.stdout + done.stderr
    handle = output(done)["handle"]
    assert (project / "renders" / "out.txt").read_text() == "made"
    log = renderer("logs", handle, cwd=project, env=user).stdout
    node = get("nodes")["items"][0]["status"]["nodeInfo"]["kernelVersion"]
    assert "kernel" in log
    assert node not in log
    assert "interfaces ['lo']" in log
    assert log.count("closed") == 3
    assert "token False" in log

    done = renderer("submit", "scene.py", "--untrusted", *SMALL, cwd=project, env=user)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "renders" / "Moves.mp4").stat().st_size > 0
    done = renderer("doctor", "--backend", "k8s", "--json", cwd=project, env=user)
    lines = {line["name"]: line for line in output(done)}
    assert {lines[name]["state"] for name in ("network", "sandbox", "untrusted")} == {"ok"}, lines
    assert "min ago" in lines["image"]["found"]  # the probe of the first submit
    assert "not in user namespaces" in lines["untrusted"]["found"]  # containerd 1.6 has none


def test_the_api_server_takes_the_manifest_with_a_user_namespace(user: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("print(1)")
    (tmp_path / "patch.yaml").write_text("spec: {template: {spec: {hostUsers: false}}}")
    made = renderer("manifest", "job.py", "--patch", "patch.yaml", cwd=tmp_path, env=user)
    taken = kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", content=made.stdout)
    assert "hostUsers: false" in taken


def test_a_network_that_is_open_in_spite_of_its_policies_is_found(user: dict[str, str], tmp_path: Path) -> None:
    if "gvisor-with-network" not in kubectl("get", "runtimeclasses", "-o", "name"):
        pytest.skip("only on the cluster of tests/support/cluster, whose network does not enforce policies")
    (tmp_path / "job.py").write_text("print(1)")
    before = renderer("list", cwd=tmp_path, env=user).stdout
    submit = ["submit", "job.py", "--untrusted", "--runtime-class", "gvisor-with-network"]
    done = renderer(*submit, cwd=tmp_path, env=user)
    assert done.returncode == 4, done.stdout + done.stderr
    where = user["RENDERER_K8S_NAMESPACE"]
    assert f"the untrusted job is not sent: a pod in {where!r} reached 10.213.57.1" in done.stderr
    assert renderer("list", cwd=tmp_path, env=user).stdout == before
    manifest = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor-nowhere"}}
    kubectl("apply", "-f", "-", content=json.dumps({**manifest, "handler": "runsc-nowhere"}))
    try:
        done = renderer(*submit[:-1], "gvisor-nowhere", cwd=tmp_path, env=user)
    finally:
        kubectl("delete", "runtimeclass", "gvisor-nowhere")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the node does not have the runtime of the RuntimeClass" in done.stderr
    done = renderer("submit", "job.py", "--runtime-class", "none", cwd=tmp_path, env=user)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"note: jobs in {where!r} may use the network: no policy is enforced, and a pod " in done.stderr


def test_policies_that_kube_router_enforces_are_believed_and_nothing_is_reached(
    user: dict[str, str], cluster: str, tmp_path: Path
) -> None:
    submit = ["submit", "job.py", "--untrusted", "--json", "--runtime-class", "gvisor-with-network"]
    udp = socket.socket(type=socket.SOCK_DGRAM)
    with enforced_policies(), socket.create_server((NODE, 0)) as tcp, udp, run_peer(cluster) as peer:
        udp.bind(tcp.getsockname())
        until(lambda: can_connect(peer, 8000))
        targets = [tcp.getsockname(), (NODE, 17070), (peer, 8000), ("10.96.0.1", 443), ("169.254.169.254", 80)]
        (tmp_path / "job.py").write_text(
            CONNECTS.format(targets=[*targets, ("2001:db8::1", 443), ("ff02::1%eth0", 53)])
        )
        done = renderer(*submit, cwd=tmp_path, env=user)
        assert done.returncode == 0, done.stdout + done.stderr
        log = renderer("logs", output(done)["handle"], cwd=tmp_path, env=user).stdout
        tcp.settimeout(0)
        udp.settimeout(0)
        for waiting in (tcp.accept, lambda: udp.recv(100)):
            with pytest.raises(BlockingIOError):
                waiting()
    assert "'eth0'" in log  # the job does have a network
    assert log.count("closed") == 7, log
    assert "Connection refused" in log, log  # as kube-router does it: by ICMP


def test_the_namespace_can_have_no_secret(user: dict[str, str]) -> None:
    create = ["kubectl", "create", "secret", "generic", "beside", "--from-literal=key=value"]
    create += ["-n", user["RENDERER_K8S_NAMESPACE"]]
    done = subprocess.run(create, capture_output=True, text=True, check=False)
    assert "exceeded quota: renderer-no-secrets" in done.stderr
