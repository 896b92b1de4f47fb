"""What keeps a job from running, or ends it: the status explains it and names the way out."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.processes import until
from support.rigs.base import make_foreign_image
from support.rigs.kubernetes import Run, get, kubectl, list_objects
from support.rigs.kubernetes_jobs import (
    SLOW,
)

from backends import JobState
from backends.errors import BackendError, SpecError
from backends.exit_codes import ExitCode
from renderer.cli.render.cmd_submit import wait_and_fetch
from renderer.settings import Settings


def test_out_of_memory_tells_the_limit(run: Run) -> None:
    job = run("x = bytearray(900 * 2**20)\nprint(len(x))\n", memory="512Mi", **{"k8s.shm": "64Mi"})
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY)
    assert "memory" in str(status.reason)
    assert "--memory" in str(status.hint)

    def listed() -> list[object]:
        found = [each for each in job.backend.list() if each.handle == job.handle]
        return [(each.reason, each.hint, each.exit_code) for each in found]

    until(lambda: listed() == [(status.reason, status.hint, status.exit_code)], describe=lambda: str(listed()))


def test_memory_that_stays_full_is_told_too(run: Run) -> None:
    """A file in /dev/shm outlives the process that wrote it: the kernel has to kill one process after the other."""
    fill = "with open('/dev/shm/big', 'wb') as file:\n    while True: file.write(bytes(2**20))\n"
    status = run(fill, memory="512Mi", **{"k8s.shm": "500Mi"}).wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY)
    assert "limit of 512Mi" in str(status.reason)


def test_a_missing_image_is_told_with_the_registrys_words_and_tried_again(
    run: Run, namespace: str, tmp_path: Path
) -> None:
    wanted: dict[str, Any] = {"image": "registry.renderer.test/not-there:1", "k8s.image_pull_secrets": ("no-secret",)}
    job = run("print(1)", **wanted)
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.BACKEND)
    assert "registry.renderer.test/not-there:1" in str(status.reason)
    assert "not found" in str(status.reason)
    assert "--image" in str(status.hint)
    assert f"renderer cancel {job.handle}" in status.notes[0]
    uid = get("job", job.handle.parts[2], "-n", namespace)["metadata"]["uid"]
    until(lambda: "Secret for the registry does not exist" in str(job.status().reason))
    again = run("print(1)", **wanted)  # it may be there now, and is pulled anew
    assert again.handle == job.handle
    assert get("job", job.handle.parts[2], "-n", namespace)["metadata"]["uid"] != uid
    assert wait_and_fetch(again, Settings(output=tmp_path / "out"), json=False) == ExitCode.BACKEND
    assert again.status().state is JobState.CANCELLED
    job.delete()


def test_an_image_that_a_registry_has_for_other_processors_alone_is_told(run: Run) -> None:
    if "REGISTRY_FOR_TESTS" not in os.environ:
        pytest.skip("no registry: run pytest by tests/support/cluster/with")
    inside, outside = os.environ["REGISTRY_FOR_TESTS"].split()
    index = f"renderer-index-{secrets.token_hex(4)}"
    add = ["add", "--arch", "arm64", index, f"containers-storage:{make_foreign_image('arm64')}"]
    push = ["push", "--all", "--quiet", "--tls-verify=false", index, f"docker://{outside}/foreign:index"]
    try:
        for command in (["create", index], add, push):
            subprocess.run(["buildah", "manifest", *command], check=True, stdout=subprocess.DEVNULL)
    finally:
        subprocess.run(["buildah", "manifest", "rm", index], check=False, stdout=subprocess.DEVNULL)
    status = run("print(1)", image=f"{inside}/foreign:index").wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.BACKEND)
    assert "the image is for another kind of processor than the node's" in str(status.reason)
    assert "--node-selector kubernetes.io/arch" in str(status.hint)


def test_a_gpu_that_no_node_has_is_told_with_what_the_nodes_have_until_the_deadline(run: Run, namespace: str) -> None:
    job = run("print(1)", gpu="H100", **{"k8s.deadline": "10m"})
    until(lambda: "the nodes have no H100: " in str(job.status().reason))
    assert "Tesla-T4" in str(job.status().reason)
    shorter = '{"spec": {"activeDeadlineSeconds": 6}}'
    kubectl("patch", "job", job.handle.parts[2], "-n", namespace, "--type=merge", "-p", shorter)
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.TIMEOUT)
    assert "deadline of 6 s" in str(status.reason)
    assert status.units[0].message == "it had not ended within the job's deadline of 6 s"


@pytest.mark.usefixtures("parts")
def test_a_taint_is_told(run: Run) -> None:
    kubectl("taint", "nodes", "--all", "closed=yes:NoSchedule")
    try:
        job = run("print('tainted')")
        until(lambda: "taint" in str(job.status().reason))
        assert "--patch" in str(job.status().hint)
    finally:
        kubectl("taint", "nodes", "--all", "closed:NoSchedule-")
    assert job.wait(600).state is JobState.SUCCEEDED


def test_a_used_up_quota_is_told(run: Run, namespace: str) -> None:
    kubectl("create", "quota", "none", "-n", namespace, "--hard=requests.nvidia.com/gpu=0")
    try:
        job = run("print('quota')")
        until(lambda: "quota" in str(job.status().reason))
        assert job.status().state is JobState.PENDING
    finally:
        kubectl("delete", "quota", "none", "-n", namespace)
    job.delete()


def test_a_submit_that_fails_half_way_leaves_nothing(run: Run, namespace: str) -> None:
    before = list_objects(namespace)
    kubectl("create", "quota", "full", "-n", namespace, "--hard=count/configmaps=1")
    try:
        until(lambda: bool(get("quota", "full", "-n", namespace)["status"].get("used")))
        with pytest.raises(BackendError, match="exceeded quota"):
            run("print('half way')")
    finally:
        kubectl("delete", "quota", "full", "-n", namespace)
    until(lambda: list_objects(namespace) == before)


def test_a_second_submit_that_fails_half_way_leaves_the_first_ones_job(run: Run, namespace: str) -> None:
    job = run(SLOW + "# twice\n")
    kubectl("create", "quota", "full", "-n", namespace, "--hard=count/configmaps=1")
    try:
        until(lambda: bool(get("quota", "full", "-n", namespace)["status"].get("used")))
        with pytest.raises(BackendError, match="exceeded quota"):
            run(SLOW + "# twice\n")
    finally:
        kubectl("delete", "quota", "full", "-n", namespace)
    assert job.wait(600).state is JobState.SUCCEEDED
    job.delete()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k8s.runtime_class": "missing"}, "RuntimeClass"),
        ({"k8s.secret_env": "not-there"}, 'secret "not-there" not found'),
        ({"k8s.secret_files": {"not-there": "/secrets"}}, 'secret "not-there" not found'),
        ({"store": "pvc://not-there"}, "not-there"),
        ({"k8s.service_account": "not-there"}, "not-there"),
    ],
)
def test_what_is_missing_is_named(run: Run, options: dict[str, object], words: str) -> None:
    try:
        job = run("print(1)", **options)
    except BackendError as error:
        assert words in str(error)  # noqa: PT017 - a claim is needed already for the inputs
        return
    until(lambda: words in str(job.status().reason))
    assert job.status().hint
    job.delete()


def test_inputs_too_large_for_a_config_map_are_refused_with_the_way_out(
    run: Run, namespace: str, tmp_path: Path
) -> None:
    before = list_objects(namespace)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "noise").write_bytes(os.urandom(2 * 2**20))
    with pytest.raises(SpecError, match="ConfigMap") as caught:
        run("print(1)")
    assert "--store" in str(caught.value.hint)
    assert list_objects(namespace) == before
