"""Faults of a real cluster: the outputs are right all the same, or the failure is told in words."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.disks import mount_small_disk
from support.processes import until
from support.rigs.flaky import Fault, flaky
from support.rigs.kubernetes import Parts, Run, everything, get, kubectl, secret

from backends import JobState, JobStatus
from backends.errors import BackendError, JobNotFoundError, SpecError, TransientError
from backends.exit_codes import ExitCode
from backends.storage import Storage
from renderer.api import Job

# Goes on for a moment after its first line, so that something can happen to it.
SLOW = """\
import os, pathlib, time
print("begun", flush=True)
for number in range(8):
    time.sleep(0.5)
    print("line", number, flush=True)
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "out.txt").write_text("made")
"""
LINES = ["begun", *(f"line {number}" for number in range(8))]


def noise(power: int) -> str:
    """Write a script whose output has 2**power bytes."""
    path = "pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'big')"
    return f"import os, pathlib\n{path}.write_bytes(os.urandom(2**{power}))\n"


def begins(job: Job) -> None:
    """Wait for the first line. A kubelet looks rarely for a while after the API server was away."""
    until(lambda: any(line.text == "begun" for line in job.logs()), within=180)


def pod(job: Job) -> str:
    _, namespace, name = job.handle.parts
    items = get("pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={name}")["items"]
    return str(items[-1]["metadata"]["name"])


def succeeds(job: Job, into: Path) -> JobStatus:
    status = job.wait(180)
    assert status.state is JobState.SUCCEEDED, status
    (file,) = job.fetch(into)
    assert file.read_text() == "made"
    return status


def test_eviction_is_no_failure_of_the_render(run: Run, namespace: str, tmp_path: Path) -> None:
    job = run(SLOW + "# evicted\n")
    begins(job)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod(job), "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod(job)}/eviction"
    kubectl("create", "--raw", path, "-f", "-", content=json.dumps(eviction))
    succeeds(job, tmp_path / "out")


def test_a_deleted_pod_is_tried_again(run: Run, namespace: str, tmp_path: Path) -> None:
    job = run(SLOW + "# deleted\n", retries=1)
    begins(job)
    kubectl("delete", "pod", pod(job), "-n", namespace, "--wait=false")
    assert succeeds(job, tmp_path / "out").units[0].attempt == 2


def test_a_killed_process_is_tried_again(run: Run, namespace: str, tmp_path: Path) -> None:
    job = run(SLOW + "# killed\n", retries=1)
    begins(job)
    kill = (
        "import os, pathlib\n"
        "for p in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    if b'-m\\0renderer.worker' in p.read_bytes(): os.kill(int(p.parent.name), 9)\n"
    )
    kubectl("exec", "-n", namespace, pod(job), "--", "python", "-c", kill)
    assert succeeds(job, tmp_path / "out").units[0].attempt == 2


def test_a_kubelet_that_restarts_disturbs_nothing(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(SLOW + "# kubelet\n")
    begins(job)
    parts("kill", "kubelet")
    parts("start", "kubelet")
    succeeds(job, tmp_path / "out")


def away(parts: Parts, seconds: float = 10.0) -> threading.Timer:
    """Take the API server away for a while."""

    def back() -> None:
        parts("start", "kube-apiserver")
        until(lambda: kubectl("get", "--raw", "/readyz", check=False) == "ok")
        for name in ("kube-controller-manager", "kube-scheduler"):  # they would pause for half a minute otherwise
            parts("kill", name)
            parts("start", name)

    parts("kill", "kube-apiserver")
    timer = threading.Timer(seconds, back)
    timer.start()
    return timer


def test_the_api_server_is_away_during_submit(run: Run, parts: Parts, tmp_path: Path) -> None:
    timer = away(parts)
    job = run(SLOW + "# submitted to nobody\n")
    timer.join()
    succeeds(job, tmp_path / "out")


def test_the_api_server_is_away_while_the_log_is_followed(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(SLOW + "# followed\n")
    begins(job)
    lines = job.logs(follow=True)
    seen = [next(lines).text]
    timer = away(parts)
    seen += [line.text for line in lines]
    timer.join()
    assert seen == LINES
    succeeds(job, tmp_path / "out")


def test_the_api_server_is_away_during_wait_and_fetch(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(SLOW + "# waited for\n")
    begins(job)
    timer = away(parts)
    succeeds(job, tmp_path / "out")
    timer.join()
    timer = away(parts)
    assert [file.name for file in job.fetch(tmp_path / "again")] == ["out.txt"]
    timer.join()


def test_out_of_memory_tells_the_limit(run: Run) -> None:
    status = run("x = bytearray(900 * 2**20)\nprint(len(x))\n", memory="512Mi", **{"k8s.shm": "64Mi"}).wait(120)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY)
    assert "memory" in str(status.reason)
    assert "--memory" in str(status.hint)


def test_a_missing_image_is_told_with_the_registrys_words_and_tried_again(run: Run, namespace: str) -> None:
    job = run("print(1)", image="registry.renderer.test/not-there:1")
    status = job.wait(60)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.BACKEND)
    assert "registry.renderer.test/not-there:1" in str(status.reason)
    assert "not found" in str(status.reason)
    assert "--image" in str(status.hint)
    uid = get("job", job.handle.parts[2], "-n", namespace)["metadata"]["uid"]
    again = run("print(1)", image="registry.renderer.test/not-there:1")  # it may be there now, and is pulled anew
    assert again.handle == job.handle
    assert get("job", job.handle.parts[2], "-n", namespace)["metadata"]["uid"] != uid
    job.delete()


def test_a_gpu_that_no_node_has_is_told_with_what_the_nodes_have_until_the_deadline(run: Run) -> None:
    job = run("print(1)", gpu="H100", **{"k8s.deadline": "6s"})
    reasons: list[str] = []
    status = job.wait(60, on_status=lambda now: reasons.append(str(now.reason)))
    assert any("no node has that GPU" in reason and "Tesla-T4" in reason for reason in reasons), reasons
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
    assert job.wait(120).state is JobState.SUCCEEDED


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
    before = everything(namespace)
    kubectl("create", "quota", "full", "-n", namespace, "--hard=count/configmaps=1")
    try:
        until(lambda: bool(get("quota", "full", "-n", namespace)["status"].get("used")))
        with pytest.raises(BackendError, match="exceeded quota"):
            run("print('half way')")
    finally:
        kubectl("delete", "quota", "full", "-n", namespace)
    until(lambda: everything(namespace) == before)


def test_a_second_submit_that_fails_half_way_leaves_the_first_ones_job(run: Run, namespace: str) -> None:
    job = run(SLOW + "# twice\n")
    kubectl("create", "quota", "full", "-n", namespace, "--hard=count/configmaps=1")
    try:
        until(lambda: bool(get("quota", "full", "-n", namespace)["status"].get("used")))
        with pytest.raises(BackendError, match="exceeded quota"):
            run(SLOW + "# twice\n")
    finally:
        kubectl("delete", "quota", "full", "-n", namespace)
    assert job.wait(120).state is JobState.SUCCEEDED
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
    before = everything(namespace)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "noise").write_bytes(os.urandom(2 * 2**20))
    with pytest.raises(SpecError, match="ConfigMap") as caught:
        run("print(1)")
    assert "--store" in str(caught.value.hint)
    assert everything(namespace) == before


@pytest.mark.parametrize("faults", [["500", "500"], ["cut", "pass", "cut"]])
def test_an_s3_that_fails_now_and_then_loses_nothing(
    run: Run, namespace: str, s3: str, faults: list[Fault], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with flaky(os.environ["S3_FOR_TESTS"], []) as (endpoint, left):
        keys = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
        secret(namespace, "flaky", **{**keys, "AWS_ENDPOINT_URL": endpoint})
        job = run(noise(21) + f"# {faults}", store=s3, **{"k8s.store_secret": "flaky"})
        left.extend(faults)
        assert job.wait(120).state is JobState.SUCCEEDED, job.status()
        assert left == []
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        left.extend(faults)
        (file,) = job.fetch(tmp_path / "out")
        assert file.stat().st_size == 2**21
    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["S3_FOR_TESTS"])
    job.delete()


def test_wrong_keys_for_the_store_are_told(run: Run, namespace: str, s3: str) -> None:
    keys = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    secret(namespace, "wrong", **{**keys, "AWS_SECRET_ACCESS_KEY": "expired"})
    status = run("print(1)", store=s3, **{"k8s.store_secret": "wrong"}).wait(120)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.BACKEND)
    assert "refused the credentials" in str(status.reason)


def test_a_store_that_is_away_lets_the_job_be_deleted_later(
    run: Run, namespace: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret(namespace, "later", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    job = run(SLOW + "# later\n", store=s3, **{"k8s.store_secret": "later"})
    begins(job)
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
    before = everything(namespace)
    job = run("print('claimed')", store=f"pvc://{claim[0]}", gpu="none")
    assert job.wait(120).state is JobState.SUCCEEDED
    if held:  # the job's finished pod keeps the claim from going
        kubectl("delete", "persistentvolumeclaim", claim[0], "-n", namespace, "--wait=false")
    else:
        kubectl("delete", "pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={job.handle.parts[2]}")
        kubectl("delete", "persistentvolumeclaim", claim[0], "-n", namespace)
    job.delete()
    kubectl("wait", "--for=delete", f"persistentvolumeclaim/{claim[0]}", "-n", namespace, "--timeout=60s")
    assert set(before) - set(everything(namespace)) == {f"PersistentVolumeClaim/{claim[0]}"}
    assert set(everything(namespace)) <= set(before)


@pytest.mark.usefixtures("parts")
def test_the_pod_that_reads_a_claim_goes_where_the_job_went(run: Run, claim: tuple[str, Path], tmp_path: Path) -> None:
    patch = tmp_path / "dedicated.yaml"
    patch.write_text("spec: {template: {spec: {tolerations: [{key: closed, operator: Exists}]}}}")
    kubectl("taint", "nodes", "--all", "closed=yes:NoSchedule")
    try:
        job = run(SLOW + "# closed\n", store=f"pvc://{claim[0]}", gpu="none", **{"k8s.patch": patch})
        succeeds(job, tmp_path / "out")
        job.delete()
    finally:
        kubectl("taint", "nodes", "--all", "closed:NoSchedule-")
    assert [path for path in claim[1].rglob("*") if path.is_file()] == []


def test_a_full_claim_is_told(run: Run, claim: tuple[str, Path]) -> None:
    name, folder = claim
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs", folder], check=True)
    try:
        status = run(noise(23), store=f"pvc://{name}").wait(120)
        assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUTPUT)
        assert "full" in str(status.reason)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_outputs_that_nobody_collects_do_not_hold_the_gpu(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    job = run(SLOW + "# nobody\n", **{"k8s.collect_timeout": "1s"})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    status = job.wait(120)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUTPUT)
    assert "no client downloaded the outputs" in str(status.reason)


def test_a_full_disk_here_is_told_and_the_outputs_wait(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with mount_small_disk(tmp_path / "disk", "1m") as disk:
        monkeypatch.setenv("XDG_STATE_HOME", str(disk))
        job = run(noise(22) + "# no room\n")
        with pytest.raises(BackendError, match=r"cannot store the outputs in .*: No space left on device"):
            job.wait(120)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "room"))
        assert [file.stat().st_size for file in job.fetch(tmp_path / "out")] == [2**22]
    job.delete()


def test_a_collector_that_is_cut_off_goes_on_where_it_stopped(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(noise(26))
    statuses: list[JobStatus] = []
    waiter = threading.Thread(target=lambda: statuses.append(job.wait(180)))
    waiter.start()
    state = Path(os.environ["XDG_STATE_HOME"])
    started: Callable[[], bool] = lambda: any(path.stat().st_size > 2**20 for path in state.rglob("*.stream"))  # noqa: E731
    until(started)
    timer = away(parts, 3)
    waiter.join()
    timer.join()
    assert statuses[0].state is JobState.SUCCEEDED, statuses
    (file,) = job.fetch(tmp_path / "out")
    assert file.stat().st_size == 2**26
