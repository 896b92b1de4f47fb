"""Faults of object stores, PVCs and disks: the outputs are complete all the same, or the failure is explained."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from support.disks import mount_small_disk
from support.processes import until
from support.rigs.flaky import Fault, flaky
from support.rigs.kubernetes import Run, create_secret, kubectl, list_objects
from support.rigs.kubernetes_jobs import (
    HELD,
    SLOW,
    assert_success,
    wait_until_begun,
    write_noise,
)

from backends import JobState
from backends.errors import BackendError, JobNotFoundError, TransientError
from backends.exit_codes import ExitCode
from backends.storage import Storage


@pytest.mark.parametrize("faults", [["500", "500"], ["cut", "pass", "cut"]])
def test_an_s3_that_fails_now_and_then_loses_nothing(
    run: Run, namespace: str, s3: str, faults: list[Fault], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with flaky(os.environ["S3_FOR_TESTS"], []) as (endpoint, left):
        keys = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
        create_secret(namespace, "flaky", **{**keys, "AWS_ENDPOINT_URL": endpoint})
        job = run(write_noise(21) + f"# {faults}", store=s3, **{"k8s.store_secret": "flaky"})
        left.extend(faults)
        assert job.wait(600).state is JobState.SUCCEEDED, job.status()
        assert left == []
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        left.extend(faults)
        (file,) = job.fetch(tmp_path / "out")
        assert file.stat().st_size == 2**21
    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["S3_FOR_TESTS"])
    job.delete()


def test_wrong_keys_for_the_store_are_told(run: Run, namespace: str, s3: str) -> None:
    keys = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    create_secret(namespace, "wrong", **{**keys, "AWS_SECRET_ACCESS_KEY": "expired"})
    status = run("print(1)", store=s3, **{"k8s.store_secret": "wrong"}).wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.BACKEND)
    assert "refused the credentials" in str(status.reason)


def test_a_store_that_is_away_lets_the_job_be_deleted_later(
    run: Run, namespace: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_secret(namespace, "later", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    job = run(HELD + "# later\n", store=s3, **{"k8s.store_secret": "later"})
    wait_until_begun(job)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(TransientError):
        job.delete()
    assert job.status().state is JobState.CANCELLED
    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["S3_FOR_TESTS"])
    job.delete()
    assert [path for path in Storage(s3).list() if job.handle.parts[2] in path] == []
    with pytest.raises(JobNotFoundError):
        job.status()


@pytest.mark.parametrize("held", [True, False], ids=["on its way out", "gone"])
def test_a_job_whose_claim_is_deleted_can_be_deleted(
    run: Run, namespace: str, claim: tuple[str, Path], held: bool
) -> None:
    before = list_objects(namespace)
    job = run("print('claimed')", store=f"pvc://{claim[0]}", gpu="none")
    assert job.wait(600).state is JobState.SUCCEEDED
    if held:  # the job's finished pod keeps the claim from going
        kubectl("delete", "persistentvolumeclaim", claim[0], "-n", namespace, "--wait=false")
    else:
        kubectl("delete", "pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={job.handle.parts[2]}")
        kubectl("delete", "persistentvolumeclaim", claim[0], "-n", namespace)
    job.delete()
    kubectl("wait", "--for=delete", f"persistentvolumeclaim/{claim[0]}", "-n", namespace, "--timeout=600s")
    assert set(before) - set(list_objects(namespace)) == {f"PersistentVolumeClaim/{claim[0]}"}
    assert set(list_objects(namespace)) <= set(before)


@pytest.mark.usefixtures("parts")
def test_the_pod_that_reads_a_claim_goes_where_the_job_went(run: Run, claim: tuple[str, Path], tmp_path: Path) -> None:
    patch = tmp_path / "dedicated.yaml"
    patch.write_text("spec: {template: {spec: {tolerations: [{key: closed, operator: Exists}]}}}")
    kubectl("taint", "nodes", "--all", "closed=yes:NoSchedule")
    try:
        job = run(SLOW + "# closed\n", store=f"pvc://{claim[0]}", gpu="none", **{"k8s.patch": patch})
        assert_success(job, tmp_path / "out")
        job.delete()
    finally:
        kubectl("taint", "nodes", "--all", "closed:NoSchedule-")
    assert [path for path in claim[1].rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", ["claim", "s3"])
def test_a_job_that_the_cluster_has_deleted_is_read_from_its_store(
    run: Run, namespace: str, s3: str, claim: tuple[str, Path], kind: str, tmp_path: Path
) -> None:
    store, options = f"pvc://{claim[0]}/some where", {}
    if kind == "s3":
        create_secret(namespace, "kept", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
        store, options = s3, {"k8s.store_secret": "kept"}
    text = SLOW.replace("range(8)", "range(1)") + f"print('from {kind}')\n"
    job = run(text, store=store, gpu="none", **options)
    assert job.wait(600).state is JobState.SUCCEEDED
    broken = run(f"raise ValueError('{kind}')\n", store=store, gpu="none", **options)
    assert broken.wait(600).state is JobState.FAILED
    kubectl("delete", "job", job.handle.parts[2], broken.handle.parts[2], "-n", namespace)
    status = job.wait(600)
    assert (status.state, status.units[0].name) == (JobState.SUCCEEDED, "job.py")
    assert "the cluster has deleted the Job" in status.notes[0]
    assert [line.text for line in job.logs(follow=True)][-1] == f"from {kind}"
    assert [file.read_text() for file in job.fetch(tmp_path / "out")] == ["made"]
    failed = broken.status()
    assert (failed.state, failed.exit_code) == (JobState.FAILED, ExitCode.USER_CODE)
    assert failed.reason == "job.py: job.py ended with exit code 1"
    job.cancel()
    job.delete()
    with pytest.raises(JobNotFoundError):
        job.status()
    assert list(broken.backend.collect_garbage(older_than=timedelta(days=1))) == []
    (item,) = broken.backend.collect_garbage(older_than=timedelta(0))
    assert item.removed
    with pytest.raises(JobNotFoundError):
        broken.status()
    left = [path.name for path in claim[1].rglob("*") if path.is_file()] if kind == "claim" else Storage(s3).list()
    assert [name for name in left if job.handle.parts[2] in name or broken.handle.parts[2] in name] == []
    assert kind == "s3" or left == []


def test_a_submit_says_what_its_transfer_pod_waits_for_and_notices_when_it_is_deleted(
    run: Run, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "no-volume"}, "spec": spec}
    kubectl("apply", "-n", namespace, "-f", "-", content=json.dumps(claim))
    with ThreadPoolExecutor() as pool:
        submitted = pool.submit(run, "print(1)", store="pvc://no-volume", gpu="none")
        until(lambda: "the PVC does not have a volume yet" in caplog.text)
        kubectl("delete", "pods", "-n", namespace, "-l", "app.kubernetes.io/component=files", "--wait=false")
        with pytest.raises(BackendError, match="somebody deleted the transfer pod"):
            submitted.result(600)
    kubectl("delete", "persistentvolumeclaim", "no-volume", "-n", namespace)


def test_a_full_claim_is_told(run: Run, claim: tuple[str, Path]) -> None:
    name, folder = claim
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs", folder], check=True)
    try:
        status = run(write_noise(23), store=f"pvc://{name}").wait(600)
        assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUTPUT)
        assert "full" in str(status.reason)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_outputs_that_nobody_collects_do_not_hold_the_gpu(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    job = run(SLOW + "# nobody\n", **{"k8s.collect_timeout": "1s"})
    without_files = run("print(1)\n", **{"k8s.collect_timeout": "1s"})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUTPUT)
    assert "no client downloaded the outputs" in str(status.reason)
    assert without_files.wait(600).state is JobState.SUCCEEDED


def test_a_full_disk_here_is_told_and_the_outputs_wait(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with mount_small_disk(tmp_path / "disk", "1m") as disk:
        monkeypatch.setenv("XDG_STATE_HOME", str(disk))
        job = run(write_noise(22) + "# no room\n")
        with pytest.raises(BackendError, match=r"cannot store the outputs in .*: No space left on device"):
            job.wait(600)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "room"))
        assert [file.stat().st_size for file in job.fetch(tmp_path / "out")] == [2**22]
    job.delete()
