"""The life of a job on Kubernetes: stores, names, kubectl beside renderer, and what is left behind."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.commands import BIN
from support.processes import until
from support.rigs.base import Rig
from support.rigs.kubernetes import Run, create_secret, get, kubectl, list_objects

from backends import JobState, get_backend
from backends.errors import JobNotFoundError, OutputError, SpecError
from backends.exit_codes import ExitCode
from renderer import spec
from renderer.api import open_job

WRITES = (
    "import os, pathlib\npathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'out é.txt').write_text('made')\nprint('ok')\n"
)
BIG = """\
import os, pathlib
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "big").write_bytes(bytes(range(256)) * 40000)
"""


def test_outputs_and_logs_come_back_from_s3_and_delete_leaves_nothing(
    run: Run, namespace: str, s3: str, tmp_path: Path
) -> None:
    create_secret(namespace, "keys", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    before = list_objects(namespace)
    text = WRITES + "assert not [key for key in os.environ if 'AWS' in key]\n" + BIG
    job = run(text + "assert not os.access('/proc/1/environ', os.R_OK)\n", store=s3, **{"k8s.store_secret": "keys"})
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status
    files = job.fetch(tmp_path / "out")
    assert {file.name for file in files} == {"out é.txt", "big"}
    assert (tmp_path / "out" / "big").stat().st_size == 256 * 40000
    kubectl("delete", "pod", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={job.handle.parts[2]}")
    assert [line.text for line in job.logs()] == ["ok"]  # from the store
    job.delete()
    assert list_objects(namespace) == before
    again = run(text + "assert not os.access('/proc/1/environ', os.R_OK)\n", store=s3, **{"k8s.store_secret": "keys"})
    assert again.handle == job.handle  # the same content has the same name
    again.delete()


def test_a_detached_job_keeps_its_outputs_in_a_claim(
    run: Run, namespace: str, claim: tuple[str, Path], tmp_path: Path
) -> None:
    name, folder = claim
    before = list_objects(namespace)
    job = run(WRITES + BIG, store=f"pvc://{name}/some where", gpu="none")
    assert job.wait(600).state is JobState.SUCCEEDED
    assert {file.name for file in job.fetch(tmp_path / "out")} == {"out é.txt", "big"}
    job.delete()
    assert list_objects(namespace) == before
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_logs_in_a_claim_outlive_the_pods(run: Run, namespace: str, claim: tuple[str, Path]) -> None:
    job = run(WRITES + "print('from the claim')\n", store=f"pvc://{claim[0]}", gpu="none")
    assert job.wait(600).state is JobState.SUCCEEDED
    kubectl("delete", "pod", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={job.handle.parts[2]}")
    assert [line.text for line in job.logs()] == ["ok", "from the claim"]
    job.delete()


def test_a_suspended_job_is_told_to_wait_in_its_queue_and_goes_on(run: Run, namespace: str, tmp_path: Path) -> None:
    """Kueue is not installed here: the patch suspends the Job, as Kueue does."""
    (tmp_path / "suspend.yaml").write_text("spec: {suspend: true}")
    settings = {"k8s.queue": "renders", "k8s.patch": tmp_path / "suspend.yaml"}
    job = run(WRITES + "# queued", **settings)
    status = job.status()
    assert (status.state, status.reason) == (JobState.PENDING, "the job waits in the queue 'renders'")
    assert status.hint
    name = job.handle.parts[2]
    kubectl("delete", "configmap", f"{name}-inputs", "-n", namespace)  # as if submit had been killed before it made it
    kubectl("patch", "job", name, "-n", namespace, "--type=merge", "-p", '{"spec": {"suspend": false}}')
    until(lambda: "its inputs are missing" in str(job.status().reason), describe=lambda: str(job.status()))
    assert run(WRITES + "# queued", **settings).handle == job.handle
    assert job.wait(600).state is JobState.SUCCEEDED
    job.delete()


def test_a_suspended_job_can_be_cancelled_and_deleted(run: Run, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "suspend.yaml").write_text("spec: {suspend: true}")
    before = list_objects(namespace)
    job = run(WRITES + "# never let in", **{"k8s.queue": "renders", "k8s.patch": tmp_path / "suspend.yaml"})
    job.cancel()
    assert job.wait(600).state is JobState.CANCELLED
    job.delete()
    assert list_objects(namespace) == before


def test_cancel_keeps_what_is_finished_and_waits_to_be_downloaded(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("import sys, time\nopen('out.txt', 'w').close()\ntime.sleep(int(sys.argv[1]))\n")
    job = rig.open(str(rig.map(tmp_path / "job.py", [0, 600]).handle))
    until(lambda: "wait to be downloaded" in str(job.status().units[0].message))
    job.cancel()
    assert [unit.state for unit in job.status().units] == [JobState.SUCCEEDED, JobState.CANCELLED]
    assert "0/out.txt" in [str(path.relative_to(tmp_path / "out")) for path in job.fetch(tmp_path / "out")]
    job.delete()


def test_the_same_job_submitted_twice_is_one(run: Run) -> None:
    text = "import time\ntime.sleep(600)  # the same\n"
    first, second = run(text), run(text)
    assert first.handle == second.handle
    other = run(text + "# other\n")
    assert other.handle != first.handle
    for job in (first, other):
        job.delete()


def test_a_failed_job_is_run_again_when_it_is_submitted_again(run: Run, namespace: str) -> None:
    first = run("raise SystemExit(1)")
    assert first.wait(600).state is JobState.FAILED
    uid = get("job", first.handle.parts[2], "-n", namespace)["metadata"]["uid"]
    second = run("raise SystemExit(1)")
    assert get("job", second.handle.parts[2], "-n", namespace)["metadata"]["uid"] != uid
    second.delete()


def test_a_failed_job_that_two_submit_again_runs_once(run: Run, namespace: str) -> None:
    first = run("raise SystemExit(2)")
    assert first.wait(600).state is JobState.FAILED
    uid = get("job", first.handle.parts[2], "-n", namespace)["metadata"]["uid"]
    with ThreadPoolExecutor() as pool:
        handles = {str(job.handle) for job in pool.map(lambda _: run("raise SystemExit(2)"), range(4))}
    assert handles == {str(first.handle)}
    assert get("job", first.handle.parts[2], "-n", namespace)["metadata"]["uid"] != uid
    assert first.wait(600).exit_code == ExitCode.USER_CODE
    first.delete()


def test_what_an_earlier_job_of_the_name_met_is_not_told_of_the_new_one(
    run: Run, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "held.yaml").write_text("spec: {suspend: true}")
    job = run("print('again')", **{"k8s.patch": tmp_path / "held.yaml"})
    event: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "earlier", "namespace": namespace},
        "involvedObject": {"kind": "Job", "name": job.handle.parts[2], "namespace": namespace, "uid": "earlier"},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": 'pods "x" is forbidden: violates PodSecurity "restricted:latest"',
    }
    kubectl("create", "-f", "-", content=json.dumps(event))
    status = job.status()
    assert (status.state, status.reason) == (JobState.PENDING, "the job is suspended")
    job.delete()


def test_inputs_that_an_earlier_job_left_behind_are_replaced(run: Run, namespace: str) -> None:
    text = "print('replaced')\n"
    first = run(text)
    name = first.handle.parts[2]
    first.delete()
    kubectl("create", "configmap", f"{name}-inputs", "-n", namespace)
    second = run(text)
    (owner,) = get("configmap", f"{name}-inputs", "-n", namespace)["metadata"]["ownerReferences"]
    assert owner["uid"] == get("job", name, "-n", namespace)["metadata"]["uid"]
    assert second.wait(600).state is JobState.SUCCEEDED
    second.delete()


def test_what_manifest_prints_is_the_job_that_submit_creates(
    rig: Rig, run: Run, namespace: str, tmp_path: Path
) -> None:
    job = run(WRITES)
    assert job.wait(600).state is JobState.SUCCEEDED
    name = job.handle.parts[2]
    submitted = get("job", name, "-n", namespace)
    job.delete()
    flags = ["--namespace", namespace, "--image", rig.settings["image"], "--cpu", "0.5", "--memory", "2Gi"]
    command = [BIN / "renderer", "manifest", tmp_path / "project" / "job.py", *flags, "--ephemeral-storage", "1Gi"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    kubectl("apply", "-f", "-", content=printed)
    applied = get("job", name, "-n", namespace)
    assert _asked_for(applied) == _asked_for(submitted)
    again = open_job(job.handle, rig.loaded())
    until(lambda: bool(again.fetch(tmp_path / "out")))
    assert (tmp_path / "out" / "out é.txt").read_text() == "made"
    assert again.wait(600).state is JobState.SUCCEEDED
    assert [line.text for line in again.logs()] == ["ok"]
    again.delete()


def _asked_for(job: dict[str, dict[str, object]]) -> str:
    annotations = job["metadata"]["annotations"]
    assert isinstance(annotations, dict)
    kept = {key: value for key, value in annotations.items() if key.startswith("manim-renderer/")}
    spec = json.dumps(job["spec"], sort_keys=True).replace(str(job["metadata"]["uid"]), "UID")
    return json.dumps([kept, job["metadata"]["name"], spec])


def test_another_machine_finds_the_job_by_its_handle(rig: Rig, run: Run) -> None:
    job = run(WRITES)
    handle = str(job.handle)
    assert job.wait(600).state is JobState.SUCCEEDED
    elsewhere = rig.open(handle)
    assert elsewhere.status().units == job.status().units
    assert handle in {str(status.handle) for status in elsewhere.backend.list()}
    job.delete()


def test_another_machine_is_told_that_the_outputs_were_collected(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job = run(WRITES + "# elsewhere\n")
    assert job.wait(600).state is JobState.SUCCEEDED
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(OutputError, match="another machine has downloaded the outputs of 1 of 1 units"):
        job.fetch(tmp_path / "out")
    with pytest.raises(SpecError, match="was submitted on another machine"):
        job.retry()
    monkeypatch.undo()
    assert job.fetch(tmp_path / "out")
    job.delete()


def test_somebody_elses_job_is_none_of_ours(rig: Rig, namespace: str) -> None:
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "foreign", "namespace": namespace},
    }
    container = {"name": "c", "image": "x", "command": ["true"]}
    job["spec"] = {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    kubectl("create", "-n", namespace, "-f", "-", content=json.dumps(job))
    ours = rig.open(f"k8s://{kubectl('config', 'current-context').strip()}/{namespace}/foreign")
    for action in (ours.status, ours.cancel, ours.delete):
        with pytest.raises(JobNotFoundError, match="no renderer job"):
            action()
    kubectl("delete", "job", "foreign", "-n", namespace)


def test_a_detached_job_without_a_store_is_refused(rig: Rig, namespace: str) -> None:
    before = list_objects(namespace)
    settings = rig.loaded()
    prepared = spec.prepare(spec.RenderSpec(path=Path(__file__), kind="script", foreground=False), settings)
    with pytest.raises(SpecError, match="needs a store that keeps its outputs") as caught:
        get_backend("k8s", settings.k8s).plan(prepared.job)
    assert "--store" in str(caught.value.hint)
    assert list_objects(namespace) == before
