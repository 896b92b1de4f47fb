"""One scene in many pods: the pods exchange clips in a store, and one of them joins them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.processes import until
from support.rigs.base import Rig
from support.rigs.kubernetes import create_secret, get, kubectl
from support.rigs.kubernetes_jobs import describe_pods

from backends import JobState
from backends.exit_codes import ExitCode
from backends.storage import Storage
from renderer.api import Job

FILM = """\
import os, random, time
from manim import *

class Film(Scene):
    def construct(self):
        for _ in range(6):
            time.sleep(float(os.environ.get("PAUSE", "0")))
            circle = Circle(random.random() + 0.5)
            self.play(Create(circle), run_time=1)
            self.remove(circle)
"""
HUNGRY = """\
import os
from manim import *

class Film(Scene):
    def construct(self):
        self.play(Create(Circle()), run_time=0.5)
        while os.environ["JOB_COMPLETION_INDEX"] == "1":
            self.held = [*getattr(self, "held", ()), os.urandom(2**24)]
        self.play(Create(Square()), run_time=0.5)
"""
PODS = {"gpu": "none", "cpu": 0.2, "memory": "1200Mi"}
SETTINGS: dict[str, object] = {
    "resolution": "320x180",
    "fps": 10,
    "encoder_preset": "manim",
    "manim_options": ("--seed", "7"),
}


def submit(rig: Rig, folder: Path, **settings: object) -> Job:
    folder.mkdir(exist_ok=True)
    (folder / "film.py").write_text(FILM)
    return rig.submit(folder / "film.py", "Film", **SETTINGS, **settings)


def fetch_film(job: Job, into: Path) -> bytes:
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status
    assert [unit.name for unit in status.units] == ["Film"]
    assert [path.name for path in job.fetch(into)] == ["Film.mp4"]
    return (into / "Film.mp4").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The film by one process of this machine."""
    folder = tmp_path_factory.mktemp("whole")
    rig = Rig("local", {"local.state_dir": folder / "jobs", "local.cache_mib": 0})
    job = submit(rig, folder / "project")
    return fetch_film(job, folder / "out")


def test_pods_that_meet_in_a_claim_go_on_after_they_are_preempted(
    rig: Rig, namespace: str, claim: tuple[str, Path], tmp_path: Path, whole: bytes
) -> None:
    """The test suspends the Job and lets it go on, as Kueue does with one it preempts."""
    settings = {"shards": 3, "store": f"pvc://{claim[0]}/films", "env": {"PAUSE": "2"}}  # to be preempted in time
    job = submit(rig, tmp_path / "project", **PODS, **settings)
    name = job.handle.parts[2]
    suspend = ["patch", "job", name, "-n", namespace, "--type=merge", "-p"]
    until(
        lambda: bool(list(claim[1].rglob("shards/clips/[!.]*"))),
        within=900,
        describe=lambda: f"{job.status()}\n{describe_pods(job)}",
    )
    kubectl(*suspend, '{"spec": {"suspend": true}}')
    until(lambda: not get("pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={name}")["items"], within=900)
    assert (job.status().state, job.status().reason) == (JobState.PENDING, "the job is suspended")
    stored = {clip: clip.stat().st_ino for clip in claim[1].rglob("shards/clips/[!.]*")}
    kubectl(*suspend, '{"spec": {"suspend": false}}')
    assert fetch_film(job, tmp_path / "out") == whole
    assert {clip: clip.stat().st_ino for clip in stored} == stored  # none was drawn again
    assert any(line.text.startswith("shard ") for line in job.logs())
    assert get("job", name, "-n", namespace)["spec"]["completions"] == 3
    job.delete()
    assert [path for path in claim[1].rglob("*") if path.is_file()] == []


def test_pods_that_meet_in_a_bucket_go_on_after_one_of_them_is_lost(
    rig: Rig, namespace: str, s3: str, tmp_path: Path, whole: bytes
) -> None:
    create_secret(namespace, "shards", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    settings = {"shards": 2, "retries": 2, "store": s3, "k8s.store_secret": "shards"}
    job = submit(rig, tmp_path / "project", **PODS, **settings)
    name, bucket = job.handle.parts[2], Storage(s3)
    until(
        lambda: any(name in path and "/shards/clips/" in path for path in bucket.list()),
        within=900,
        describe=lambda: f"{job.status()}\n{describe_pods(job)}",
    )
    kubectl("delete", "pod", "-n", namespace, "--now", "-l", f"batch.kubernetes.io/job-name={name}")
    assert fetch_film(job, tmp_path / "out") == whole
    job.delete()
    assert [path for path in bucket.list() if name in path] == []


def test_a_pod_that_runs_out_of_memory_ends_the_job(rig: Rig, claim: tuple[str, Path], tmp_path: Path) -> None:
    pods = {**PODS, "memory": "600Mi", "k8s.shm": "64Mi"}
    (tmp_path / "film.py").write_text(HUNGRY)
    job = rig.submit(tmp_path / "film.py", "Film", **SETTINGS, **pods, shards=2, store=f"pvc://{claim[0]}/films")
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY), status
    assert "limit of 600Mi" in str(status.reason)
    job.delete()
    assert [path for path in claim[1].rglob("*") if path.is_file()] == []
