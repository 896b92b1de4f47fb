"""The status of a job, from objects as the API server of a cluster returns them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.rigs.api_server import CREATED, JOB, POD, Answers, dump, serve

from backends import JobHandle, JobState, JobStatus, get_backend
from backends.errors import RendererError
from backends.exit_codes import ExitCode
from backends.kubernetes import names
from backends.kubernetes.objects.job import parse_job
from backends.kubernetes.objects.termination import dump_report
from backends.kubernetes.observe.status import summarize_job
from backends.kubernetes.transfer.spool import Spool
from backends.problem import Problem
from renderer.api import open_job

HANDLE = "k8s://one/video/j"
FAILED = {
    "failedIndexes": "0",
    "conditions": [{"type": "Failed", "status": "True", "reason": "FailedIndexes", "lastTransitionTime": CREATED}],
}
COMPLETE = [{"type": "Complete", "status": "True", "lastTransitionTime": CREATED}]
LIMITED = {"containers": [{"resources": {"limits": {"memory": "512Mi"}}}]}


def pod_in(state: dict[str, Any], *, ready: bool = False, **status: Any) -> dict[str, Any]:
    containers = [{"name": "render", "ready": ready, "state": state}]
    return {**POD, "status": {"phase": "Running", "containerStatuses": containers, **status}}


def answers_with(job: dict[str, Any], pod: dict[str, Any], asked: list[str]) -> Answers:
    """Return the answers of a namespace with one job and one pod; ``asked`` gets the ends of the paths."""

    def answers(path: str) -> tuple[int, bytes]:
        asked.append(path.partition("?")[0].rpartition("/")[2])
        if asked[-1] == "exec":
            return 403, b'{"reason": "Forbidden", "message": "no exec here"}'
        if asked[-1] == "log":
            return 200, b"openjd_progress: 42\n"
        return 200, dump(job if asked[-1] == "j" else {"metadata": {"resourceVersion": "1"}, "items": [pod]})

    return answers


def failed(state: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, **status: Any) -> JobStatus:
    job = {**JOB, "spec": {"completions": 1, "template": {"spec": LIMITED}}, "status": FAILED}
    pod = pod_in({"terminated": state} if state else {}, phase="Failed", **status)
    with serve(answers_with(job, pod, []), folder, monkeypatch):
        return open_job(HANDLE).status()


@pytest.mark.parametrize(
    ("terminated", "code", "words"),
    [
        ({"exitCode": 137, "reason": "OOMKilled"}, ExitCode.OUT_OF_MEMORY, "more memory than its limit of 512Mi"),
        ({"exitCode": 13, "reason": "Error"}, ExitCode.OUT_OF_MEMORY, "more memory than its limit of 512Mi"),
        (
            {"exitCode": 137, "reason": "Error"},
            ExitCode.LOST,
            "was killed, most likely because it ran out of memory (limit 512Mi)",
        ),
        ({"exitCode": 139, "reason": "Error"}, ExitCode.LOST, "segmentation fault"),
        ({"exitCode": 10, "message": json.dumps({"message": "boom"})}, ExitCode.USER_CODE, "0: boom"),
        ({"exitCode": 1, "message": "Traceback\nopenjd_fail: why\nend"}, ExitCode.INTERNAL, "0: why"),
        ({"exitCode": 99, "message": ""}, ExitCode.LOST, "exit code 99"),
    ],
)
def test_a_container_that_ended_is_explained(
    terminated: dict[str, Any], code: ExitCode, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = failed(terminated, tmp_path, monkeypatch)
    assert (status.state, status.exit_code) == (JobState.FAILED, code)
    assert words in str(status.reason)
    if "memory" in words:
        assert "--memory" in str(status.hint)


def installer_in(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "store", "state": {"running": {}}}, {"name": "packages", "state": state}]


def test_an_installation_of_packages_that_failed_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (ended, code, words) in enumerate(
        [
            ({"exitCode": 10, "message": '{"message": "no network"}'}, ExitCode.USER_CODE, "0: no network"),
            ({"exitCode": 137, "reason": "OOMKilled"}, ExitCode.OUT_OF_MEMORY, "more memory than its limit of 512Mi"),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        status = failed(
            {}, tmp_path / str(number), monkeypatch, initContainerStatuses=installer_in({"terminated": ended})
        )
        assert (status.state, status.exit_code) == (JobState.FAILED, code)
        assert words in str(status.reason)


def test_a_job_whose_packages_are_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = {"waiting": {"reason": "PodInitializing"}}
    pod = pod_in(waiting, phase="Pending", initContainerStatuses=installer_in({"running": {}}))
    with serve(answers_with(JOB, pod, []), tmp_path, monkeypatch):
        status = open_job(HANDLE).status()
    assert (status.state, status.reason) == (JobState.PENDING, "its packages are being installed")


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ({"reason": "Evicted", "message": "The node was low on resource: memory."}, "the node evicted the pod"),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]},
            "job of higher priority",
        ),
        ({"reason": "NodeLost"}, "the pod is gone: NodeLost"),
    ],
)
def test_a_pod_that_the_cluster_took_away_is_lost(
    pod: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = failed({}, tmp_path, monkeypatch, **pod)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.LOST)
    assert words in str(status.reason)


def test_a_unit_runs_until_the_job_counts_its_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = pod_in({"terminated": {"exitCode": 0, "reason": "Completed"}}, phase="Succeeded")
    with serve(answers_with(JOB, pod, []), tmp_path, monkeypatch):
        status = open_job(HANDLE).status()
    assert (status.state, status.units[0].state, status.reason) == (JobState.RUNNING, JobState.RUNNING, None)


def test_status_only_reads_and_wait_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Spool(JobHandle.parse(HANDLE), parse_job(JOB)).create()  # as submit does
    asked: list[str] = []
    with serve(answers_with(JOB, pod_in({"running": {}}, ready=True), asked), tmp_path, monkeypatch):
        job = open_job(HANDLE)
        status = job.status()
        assert (status.state, status.units[0].progress) == (JobState.RUNNING, 42.0)
        assert status.units[0].message == "rendered; its outputs wait to be downloaded"
        assert asked == ["j", "pods", "log"]
        with pytest.raises(RendererError, match="no exec here"):
            job.wait(600)
    assert asked[-1] == "exec"


def test_requests_are_logged_without_credentials_and_bodies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="backends.kubernetes")
    with serve(answers_with(JOB, pod_in({"running": {}}), []), tmp_path, monkeypatch):
        open_job(HANDLE).status()
    lines = [record.getMessage().partition(" in ")[0] for record in caplog.records]
    assert lines == [
        "GET /apis/batch/v1/namespaces/video/jobs/j: 200",
        "GET /api/v1/namespaces/video/pods: 200",
        "GET /api/v1/namespaces/video/pods/p/log: 200",
    ]


@pytest.mark.parametrize(
    ("status", "annotations", "expected"),
    [
        ({}, {}, (9, 0, 0)),
        ({"completedIndexes": "0-2", "failedIndexes": "4,6"}, {}, (9, 5, 2)),
        ({**FAILED, "completedIndexes": "1-3"}, {}, (9, 9, 6)),
        ({**FAILED, "completedIndexes": "1-3"}, {"manim-renderer/cancelled": CREATED}, (9, 9, 1)),
        ({"completedIndexes": "0-8", "conditions": COMPLETE}, {}, (9, 9, 0)),
        ({**FAILED, "completedIndexes": "1-8"}, {"manim-renderer/shards": "9"}, (1, 1, 1)),
        ({"completedIndexes": "1-3"}, {"manim-renderer/shards": "9"}, (1, 0, 0)),
    ],
)
def test_a_list_counts_what_ended_and_failed(
    status: dict[str, Any], annotations: dict[str, str], expected: tuple[int, int, int]
) -> None:
    metadata = {**JOB["metadata"], "annotations": annotations}
    spec = {**JOB["spec"], "completions": 9}
    job = parse_job({**JOB, "metadata": metadata, "spec": spec, "status": status})
    counts = summarize_job(JobHandle.parse(HANDLE), job).counts
    assert (counts.total, counts.ended, counts.failed) == expected


def test_a_list_ends_however_many_pods_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = pod_in({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, phase="Failed")
    pod["metadata"] = {**pod["metadata"], "labels": names.job_labels("j") | {names.LABEL_JOB_NAME: "j"}}
    pages = {
        "jobs": {"metadata": {}, "items": [{**JOB, "status": FAILED}]},
        "pods": {"metadata": {"continue": "more"}, "items": [pod]},  # after each page another one
    }
    with serve(lambda path: (200, dump(pages[path.partition("?")[0].rpartition("/")[2]])), tmp_path, monkeypatch):
        (status,) = get_backend("k8s").list()
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY)


def test_a_scene_that_one_shard_rendered_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotations = {names.ANNOTATION_SHARDS: "1", names.ANNOTATION_UNITS: '["Film"]'}
    complete = {"type": "Complete", "status": "True", "reason": "Completed", "lastTransitionTime": CREATED}
    status = {"completedIndexes": "0", "conditions": [complete]}
    job = {**JOB, "metadata": {**JOB["metadata"], "annotations": annotations}, "status": status}
    why = "rendered by one shard: shards 0 and 1 differ at the end of play 1, in mobject 2, a Square"
    terminated = {"exitCode": 0, "message": dump_report(Problem(message=why)).decode()}
    pod = pod_in({"terminated": terminated}, phase="Succeeded")
    with serve(answers_with(job, pod, []), tmp_path, monkeypatch):
        (unit,) = open_job(HANDLE).status().units
    assert (unit.state, unit.message) == (JobState.SUCCEEDED, why)


def workload(reserved: str, **preempted: str) -> dict[str, Any]:
    conditions = [{"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": reserved}]
    if preempted:
        conditions += [{"type": "Evicted", "status": "True", "reason": "Preempted"}]
        conditions += [{"type": "Preempted", "status": "True", "message": "x", **preempted}]
    return {"status": {"conditions": conditions}}


WAITS = "the job waits in the queue 'renders'"
SHORT = "it needs 1 more nvidia.com/gpu (of t4) than is free in the quota"
NO_QUOTA = (
    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor t4, 1 more needed"
)
TOO_MUCH = (
    "couldn't assign flavors to pod set main: insufficient quota for cpu in flavor t4, previously considered podsets "
    "requests (0) + current podset request (16) > maximum capacity (8)"
)


@pytest.mark.parametrize(
    ("found", "reason", "hint"),
    [
        (
            workload(NO_QUOTA),
            f"{WAITS}: {SHORT}",
            "it starts as soon as",
        ),
        (
            workload(TOO_MUCH),
            f"{WAITS}: it asks for 16 cpu at once, and the queue has 8 at most",
            "--parallelism",
        ),
        (
            workload("LocalQueue renders doesn't exist"),
            f"{WAITS}: LocalQueue renders doesn't exist",
            "kubectl get localqueues -n video",
        ),
        (
            workload(NO_QUOTA, reason="InClusterQueue"),
            f"the job was preempted for a job of higher priority; what is finished stays; {WAITS}: {SHORT}",
            "it starts as soon as",
        ),
        (workload("something new"), f"{WAITS}: something new", "it starts as soon as"),
        ({}, WAITS, "it starts as soon as"),
        (None, WAITS, "it starts as soon as"),
    ],
)
def test_kueue_says_why_a_job_waits_in_its_queue(
    found: dict[str, Any] | None, reason: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {**JOB["metadata"]["labels"], names.LABEL_QUEUE: "renders"}
    job = {**JOB, "metadata": {**JOB["metadata"], "labels": labels}, "spec": {**JOB["spec"], "suspend": True}}

    def answers(path: str) -> tuple[int, bytes]:
        if path.endswith("/kueue.x-k8s.io"):
            return 200, dump({"preferredVersion": {"version": "v1beta7"}})
        if "workloads" in path:
            assert path.startswith("/apis/kueue.x-k8s.io/v1beta7/namespaces/video/workloads?labelSelector=")
            return (200, dump({"metadata": {}, "items": [found]})) if found is not None else (403, b"{}")
        return 200, dump(job if path.endswith("/j") else {"metadata": {"resourceVersion": "1"}, "items": []})

    with serve(answers, tmp_path, monkeypatch):
        status = open_job(HANDLE).status()
    assert (status.state, status.reason) == (JobState.PENDING, reason)
    assert hint in str(status.hint)
