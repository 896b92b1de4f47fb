"""Units that share a pod, and jobs of ten thousand units, on a real cluster."""

from __future__ import annotations

import json
import os
import re
import resource
import time
from pathlib import Path

import pytest
import yaml
from support.processes import until
from support.rigs.base import Rig
from support.rigs.kubernetes import create_secret, get, kubectl, list_objects

from backends import JobState
from backends.errors import SpecError
from backends.exit_codes import ExitCode
from backends.models import UnitCounts

WAITS = """\
import pathlib, sys, time
print("begins", sys.argv[1], flush=True)
if sys.argv[1] == "4":
    raise ValueError("four")
while sys.argv[1] == "2" and not pathlib.Path("/work/go").exists():
    print("openjd_progress: 40", flush=True)
    time.sleep(0.2)
pathlib.Path("made.txt").write_text(sys.argv[1])
print("openjd_status: ends", sys.argv[1])
"""
SCENES = """\
from manim import *
class One(Scene):
    def construct(self):
        self.wait(0.2)
class Two(One):
    pass
class Bad(Scene):
    def construct(self):
        raise RuntimeError("no luck")
"""


def pods(namespace: str, name: str) -> list[str]:
    items = get("pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={name}")["items"]
    return sorted(item["metadata"]["name"] for item in items if "deletionTimestamp" not in item["metadata"])


def test_a_lost_pod_repeats_only_the_units_that_have_no_result(
    rig: Rig, namespace: str, s3: str, tmp_path: Path
) -> None:
    create_secret(namespace, "keys", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    (tmp_path / "work.py").write_text(WAITS)
    before = list_objects(namespace)
    options = {"k8s.units_per_pod": 3, "k8s.store_secret": "keys", "store": s3, "retries": 2, "gpu": "none"}
    job = rig.map(tmp_path / "work.py", range(5), **options).job
    name = job.handle.parts[2]

    def states() -> list[JobState]:
        return [unit.state for unit in job.status().units]

    ended, failed = JobState.SUCCEEDED, JobState.FAILED
    until(lambda: states() == [ended, ended, JobState.RUNNING, ended, failed])
    waiting = job.status().units[2]
    until(lambda: job.status().units[2].progress == 40)
    assert waiting.name == "2"
    until(lambda: "s left" in (job.status().units[2].activity or ""))
    assert len(pods(namespace, name)) == 2
    assert next(line.text for line in job.logs() if line.unit == 0) == "begins 0"
    first, _ = pods(namespace, name)
    kubectl("delete", "pod", first, "-n", namespace, "--grace-period=1")
    until(lambda: len(pods(namespace, name)) == 2 and first not in pods(namespace, name))
    until(lambda: states() == [ended, ended, JobState.RUNNING, ended, failed])
    (second,) = [pod for pod in pods(namespace, name) if pod.startswith(f"{name}-0-")]
    kubectl("exec", "-n", namespace, second, "-c", "render", "--", "touch", "/work/go")
    status = job.wait(600)
    assert [unit.state for unit in status.units] == [ended, ended, ended, ended, failed]
    bad = status.units[4]
    assert (bad.exit_code, bad.message) == (ExitCode.USER_CODE, "4 ended with exit code 1")
    printed = kubectl("logs", "-n", namespace, second, "-c", "render")
    assert {line.partition(":")[0] for line in printed.splitlines()} == {"2", "renderer_units"}
    logs = {unit: [line.text for line in job.logs() if line.unit == unit] for unit in range(5)}
    assert [lines[0] for lines in logs.values()] == [f"begins {unit}" for unit in range(5)]
    assert "ValueError: four" in logs[4]
    files = {path.parent.name: path.read_text() for path in job.fetch(tmp_path / "out") if path.name == "made.txt"}
    assert files == {"0": "0", "1": "1", "2": "2", "3": "3"}
    job.delete()
    assert list_objects(namespace) == before


def test_scenes_of_one_pod_have_results_of_their_own(rig: Rig, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "scenes.py").write_text(SCENES)
    options = {"k8s.units_per_pod": 25, "gpu": "none", "resolution": "160x90", "fps": 10}
    job = rig.submit(tmp_path / "scenes.py", "One", "Bad", "Two", **options)
    lines = list(job.logs(follow=True))
    status = job.wait(600)
    assert [unit.state for unit in status.units] == [JobState.SUCCEEDED, JobState.FAILED, JobState.SUCCEEDED]
    assert status.units[1].message == "Bad raised RuntimeError: no luck"
    assert status.exit_code == ExitCode.USER_CODE
    assert len(pods(namespace, job.handle.parts[2])) == 1
    assert {line.unit for line in lines} == {0, 1, 2}
    assert not any(re.match(r"\d+: |renderer_units", line.text) for line in lines)
    assert sorted(path.name for path in job.fetch(tmp_path / "out")) == ["One.mp4", "Two.mp4"]
    job.delete()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"untrusted": True}, "--untrusted"), ({"max_failed": 1}, "--max-failed")],
)
def test_what_cannot_share_a_pod_is_refused(rig: Rig, tmp_path: Path, options: dict[str, object], words: str) -> None:
    (tmp_path / "work.py").write_text(WAITS)
    with pytest.raises(SpecError, match=f"--units-per-pod cannot be used with {words}"):
        rig.map(tmp_path / "work.py", range(5), **{"k8s.units_per_pod": 3, "k8s.runtime_class": "gvisor", **options})


def test_the_status_of_ten_thousand_units_comes_from_the_indexes_of_the_job(
    rig: Rig, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text(WAITS)
    (tmp_path / "patch.yaml").write_text(yaml.safe_dump({"spec": {"suspend": True}}))
    names = [{"name": f"an-input-with-a-long-name-{index:05d}"} for index in range(10_000)]
    options = {"k8s.patch": tmp_path / "patch.yaml", "k8s.units_per_pod": 1, "gpu": "none"}
    job = rig.map(tmp_path / "work.py", names, **options).job
    name = job.handle.parts[2]
    made = get("job,configmap", "-n", namespace, "-l", f"app.kubernetes.io/instance={name}")["items"]
    assert all(len(json.dumps(item)) < 256 * 1024 for item in made)
    assert "manim-renderer/units" not in made[0]["metadata"]["annotations"]
    status = {
        "status": {"succeeded": 9000, "completedIndexes": "0-8998,9999", "failed": 2, "failedIndexes": "8999,9001"}
    }
    patch = ["patch", "job", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", json.dumps(status)]
    kubectl(*patch)
    job.status()
    began, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used = time.process_time()
    units = job.status().units
    assert time.process_time() - used < 3, time.monotonic() - began
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 30 * 1024  # KiB
    assert [units[index].state for index in (0, 8998, 8999, 9000, 9001, 9999)] == [
        *(JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.FAILED, JobState.PENDING, JobState.FAILED),
        JobState.SUCCEEDED,
    ]
    assert units[17].name == "17-an-input-with-a-long-name-00017"
    (listed,) = [each for each in job.backend.list() if each.handle == job.handle]
    assert (listed.units, listed.counts) == ((), UnitCounts(total=10_000, ended=9_002, failed=2))
    job.delete()
