"""Jobs with --untrusted in gVisor, in a namespace of `renderer setup k8s --untrusted`, with the rights that it gives.

The test cluster's network does not enforce policies. Its RuntimeClass gvisor has no network at all; pods of
gvisor-with-network are on the network of all pods.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import SMALL, environment, output, renderer
from support.rigs.kubernetes import get, kubectl
from support.rigs.kubernetes_untrusted import untrusted_user

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
SCENE = """\
from manim import *

class Moves(Scene):
    def construct(self):
        self.play(Create(Circle()), run_time=0.5)
"""


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


def test_the_namespace_can_have_no_secret(user: dict[str, str]) -> None:
    create = ["kubectl", "create", "secret", "generic", "beside", "--from-literal=key=value"]
    create += ["-n", user["RENDERER_K8S_NAMESPACE"]]
    done = subprocess.run(create, capture_output=True, text=True, check=False)
    assert "exceeded quota: renderer-no-secrets" in done.stderr
