"""The set-up of a namespace, and the doctor that checks it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.commands import environment, output, renderer
from support.rigs.base import Rig
from support.rigs.kubernetes import get, kubectl


def test_a_strict_api_server_accepts_the_whole_set_up(rig: Rig, namespace: str, tmp_path: Path) -> None:
    options = ["--namespace", namespace, "--claim", "renders", "--size", "1Gi", "--cluster"]
    printed = renderer("setup", "k8s", *options, cwd=tmp_path, env=environment(tmp_path))
    assert printed.returncode == 0, printed.stderr
    command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-"]
    done = subprocess.run(command, input=printed.stdout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kinds = {line.split(".")[0].split("/")[0] for line in done.stdout.splitlines()}
    wanted = {"namespace", "serviceaccount", "role", "rolebinding", "networkpolicy", "resourcequota"}
    assert kinds == {*wanted, "persistentvolumeclaim", "runtimeclass", "clusterrole", "clusterrolebinding"}
    assert rig.backend == "k8s"


def test_the_doctor_finds_a_cluster_well(rig: Rig, namespace: str, tmp_path: Path) -> None:
    options = ["--backend", "k8s", "--namespace", namespace, "--image", str(rig.settings["image"]), "--json"]
    done = renderer("doctor", *options, cwd=tmp_path, env=environment(tmp_path))
    lines = {line["name"]: line for line in output(done)}
    assert done.returncode == 0, lines
    network = lines.pop("network")
    assert {line["state"] for line in lines.values()} == {"ok"}
    if "CLUSTER_PARTS" in os.environ:  # the network of the tests' own cluster does not enforce policies
        assert network["state"] == "warning"
        assert "not kept off the network" in network["found"]
    assert "restricted" in lines["namespace"]["found"]
    assert lines["preload"]["found"].startswith("the image is on 1 of 1 nodes") or "CLUSTER_PARTS" not in os.environ
    assert "Tesla-T4" in lines["GPUs"]["found"] or "of" in lines["GPUs"]["found"]


def test_an_image_is_brought_to_the_nodes_with_gpus(rig: Rig, namespace: str, tmp_path: Path) -> None:
    image = str(rig.settings["image"])
    setup = ["setup", "k8s", "--namespace", namespace, "--preload", image, "--apply"]  # restricted: enforced there
    done = renderer(*setup, cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 0, done.stderr
    name = done.stderr.split()[1]
    kubectl("rollout", "status", f"daemonset/{name}", "-n", namespace, "--timeout=600s")
    (found,) = get("daemonsets", "-n", namespace)["items"]
    assert found["status"]["numberReady"] == found["status"]["desiredNumberScheduled"] > 0
    kubectl("delete", "daemonset", name, "-n", namespace)


def test_the_doctor_says_what_is_missing(rig: Rig, tmp_path: Path) -> None:
    options = ["--backend", rig.backend, "--namespace", "not-there", "--image", "registry.renderer.test/not-there:1"]
    done = renderer("doctor", *options, cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 4
    assert "there is no namespace 'not-there'" in done.stdout
    assert "renderer setup k8s --namespace not-there --apply" in done.stdout
