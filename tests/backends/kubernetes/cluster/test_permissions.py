"""The Role of k8s/ is enough for every command, and does not allow more."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.commands import BIN, environment, output, renderer
from support.processes import until
from support.rigs.kubernetes import copy_kubeconfig, create_claim, get, kubectl

SCRIPT = """\
import os, pathlib
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "out.txt").write_text("made")
print("ok")
"""
NAMESPACE = f"renderer-least-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def user(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Set up a namespace; yield the environment of a user with the permissions of its ServiceAccount."""
    folder = tmp_path_factory.mktemp("user")
    setup: list[str | Path] = [BIN / "renderer", "setup", "k8s", "--namespace", NAMESPACE, "--apply"]
    subprocess.run(setup, check=True, capture_output=True)
    try:
        config = copy_kubeconfig(
            folder, NAMESPACE, token=kubectl("create", "token", "renderer", "-n", NAMESPACE).strip()
        )
        sizes = {"RENDERER_CPU": "0.5", "RENDERER_MEMORY": "2Gi", "RENDERER_K8S_EPHEMERAL_STORAGE": "1Gi"}
        yield environment(folder, KUBECONFIG=str(config), RENDERER_BACKEND="k8s", RENDERER_IMAGE=cluster, **sizes)
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_every_command_works_with_the_role_alone(user: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(SCRIPT)
    done = renderer("submit", "job.py", "--json", cwd=tmp_path, env=user)
    assert done.returncode == 0, done.stdout + done.stderr
    handle = output(done)["handle"]
    assert (tmp_path / "renders" / "out.txt").read_text() == "made"
    for command in (["status"], ["logs"], ["logs", "--follow"], ["wait"], ["fetch"], ["cancel"]):
        done = renderer(*command, handle, cwd=tmp_path, env=user)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert handle in renderer("list", cwd=tmp_path, env=user).stdout
    assert renderer("delete", handle, cwd=tmp_path, env=user).returncode == 0
    assert get("jobs,pods", "-n", NAMESPACE)["items"] == []


def test_a_claim_the_doctor_and_kubectl_need_no_more_than_the_role(
    user: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if "CLUSTER_PARTS" not in os.environ:
        pytest.skip("the claim's volume is a folder of this machine: only on the cluster of tests/support/cluster")
    volume = tmp_path_factory.mktemp("volume")
    volume.chmod(0o777)
    claim = create_claim(NAMESPACE, volume)
    (tmp_path / "job.py").write_text(SCRIPT)
    try:
        submit = ["submit", "job.py", "--detach", "--store", f"pvc://{claim}/some where", "--gpu", "none"]
        done = renderer(*submit, cwd=tmp_path, env=user)
        assert done.returncode == 0, done.stderr
        handle = done.stdout.strip()
        for command in ("wait", "fetch", "logs", "delete"):
            done = renderer(command, handle, cwd=tmp_path, env=user)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert (tmp_path / "renders" / "out.txt").read_text() == "made"
        assert [path for path in volume.rglob("*") if path.is_file()] == []
        done = renderer("doctor", "--backend", "k8s", "--json", cwd=tmp_path, env=user)
        lines = {line["name"]: line["state"] for line in output(done)}
        assert lines["permissions"] == lines["image"] == "ok", lines
        printed = renderer("manifest", "job.py", cwd=tmp_path, env=user).stdout
        create = ["kubectl", "--kubeconfig", user["KUBECONFIG"], "create", "-f", "-"]
        subprocess.run(create, input=printed, check=True, capture_output=True, text=True)
        name = next(item for item in yaml.safe_load_all(printed) if item["kind"] == "Job")["metadata"]["name"]
        assert renderer("delete", f"k8s://renderer-test/{NAMESPACE}/{name}", cwd=tmp_path, env=user).returncode == 0
        assert get("jobs,pods", "-n", NAMESPACE)["items"] == []
    finally:
        kubectl("delete", "persistentvolume", f"{NAMESPACE}-{claim}", "--wait=false")


def test_the_role_has_no_verb_too_many(user: dict[str, str]) -> None:
    role = get("role", "renderer", "-n", NAMESPACE)
    needed = {
        f"{resource}:{verb}" for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    assert needed == {
        *(f"jobs:{verb}" for verb in ("create", "get", "list", "patch", "delete")),
        *(f"configmaps:{verb}" for verb in ("create", "delete")),
        *(f"pods:{verb}" for verb in ("get", "list", "watch", "create", "delete")),
        *("pods/log:get", "pods/exec:get", "pods/exec:create", "events:list", "networkpolicies:list"),
        "workloads:list",
    }
    for forbidden in (["get", "secrets"], ["delete", "namespaces"], ["create", "roles"], ["update", "configmaps"]):
        asked = ["kubectl", "--kubeconfig", user["KUBECONFIG"], "auth", "can-i", *forbidden, "-n", NAMESPACE]
        assert subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "no"


def test_who_may_nothing_is_told_what(user: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(SCRIPT)
    kubectl("create", "serviceaccount", "nobody", "-n", NAMESPACE)
    config = copy_kubeconfig(tmp_path, NAMESPACE, token=kubectl("create", "token", "nobody", "-n", NAMESPACE).strip())
    for command in (["submit", "job.py"], ["list"], ["status", f"k8s://renderer-test/{NAMESPACE}/x"]):
        done = renderer(*command, cwd=tmp_path, env={**user, "KUBECONFIG": str(config)})
        assert done.returncode == 4, (command, done.stdout, done.stderr)
        assert "you may not" in done.stderr
        assert "jobs" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_expired_token_is_told(user: dict[str, str], tmp_path: Path) -> None:
    config = copy_kubeconfig(tmp_path, NAMESPACE, token="expired")  # noqa: S106 - no password
    done = renderer("list", cwd=tmp_path, env={**user, "KUBECONFIG": str(config)})
    assert done.returncode == 4
    assert "may have expired" in done.stderr


def test_credentials_that_expire_while_a_job_is_waited_for_are_read_again(user: dict[str, str], tmp_path: Path) -> None:
    """The kubeconfig names a token file. The first token becomes invalid when its ServiceAccount is deleted."""
    (tmp_path / "job.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(8)\n" + SCRIPT)
    kubectl("create", "serviceaccount", "leaving", "-n", NAMESPACE)
    role = ["--role=renderer", f"--serviceaccount={NAMESPACE}:leaving"]
    kubectl("create", "rolebinding", "leaving", "-n", NAMESPACE, *role)
    token = tmp_path / "token"
    token.write_text(kubectl("create", "token", "leaving", "-n", NAMESPACE).strip())
    config = copy_kubeconfig(tmp_path, NAMESPACE, tokenFile=str(token))
    command: list[str | Path] = [BIN / "renderer", "submit", "job.py", "--json"]
    env = {**user, "KUBECONFIG": str(config)}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as submit:
        until(lambda: "begun" in logs(NAMESPACE))
        good = yaml.safe_load(Path(user["KUBECONFIG"]).read_text())["users"][0]["user"]["token"]
        token.write_text(good)
        kubectl("delete", "serviceaccount", "leaving", "-n", NAMESPACE)
        assert submit.stdout
        status = json.loads(submit.stdout.read())
    assert submit.returncode == 0, status
    assert (tmp_path / "renders" / "out.txt").read_text() == "made"
    assert renderer("delete", status["handle"], cwd=tmp_path, env=user).returncode == 0


def logs(namespace: str) -> str:
    pods = kubectl("get", "pods", "-n", namespace, "--field-selector=status.phase=Running", "-o", "name").split()
    return "".join(kubectl("logs", "-n", namespace, pod, check=False) for pod in pods)


def test_a_plugins_token_is_asked_for_again_when_it_has_expired(user: dict[str, str], tmp_path: Path) -> None:
    """The plugin is a real program: its first token is not valid, the second one is."""
    good = yaml.safe_load(Path(user["KUBECONFIG"]).read_text())["users"][0]["user"]["token"]
    plugin = tmp_path / "log in.sh"
    credential: dict[str, Any] = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    answers = [json.dumps({**credential, "status": {"token": token}}) for token in ("expired", good)]
    asked = tmp_path / "asked"
    later = f"if [ -e '{asked}' ]; then echo '{answers[1]}'; exit; fi"
    plugin.write_text(f"#!/bin/sh\n{later}\ntouch '{asked}'\necho '{answers[0]}'\n")
    plugin.chmod(0o700)
    content = yaml.safe_load(Path(user["KUBECONFIG"]).read_text())
    content["users"][0]["user"] = {"exec": {"apiVersion": credential["apiVersion"], "command": str(plugin)}}
    config = tmp_path / "kubeconfig"
    config.write_text(yaml.safe_dump(content))
    done = renderer("list", cwd=tmp_path, env={**user, "KUBECONFIG": str(config)})
    assert done.returncode == 0, done.stderr


def test_a_cluster_that_is_not_there_is_told(user: dict[str, str], tmp_path: Path) -> None:
    for value, words in ((str(tmp_path / "none"), "no Kubernetes context"), ("/dev/null", "no Kubernetes context")):
        done = renderer("list", cwd=tmp_path, env={**user, "KUBECONFIG": value})
        assert done.returncode == 2
        assert words in done.stderr
    done = renderer("submit", __file__, "--context", "other", cwd=tmp_path, env=user)
    assert done.returncode == 2
    assert "there is no Kubernetes context 'other'" in done.stderr
    assert os.environ["KUBECONFIG"]
