"""Scripts that run long enough to be disturbed, and what tests do with their jobs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.processes import until
from support.rigs.kubernetes import get, kubectl

from backends import JobState, JobStatus
from renderer.api import Job

# Runs for some seconds after its first line.
SLOW = """\
import os, pathlib, time
print("begun", flush=True)
for number in range(8):
    time.sleep(0.5)
    print("line", number, flush=True)
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "out.txt").write_text("made")
"""
SLOW_LINES = ["begun", *(f"line {number}" for number in range(8))]
# Runs until `let_go_on` or `let_next_go_on`.
HELD = """\
import os, pathlib, time
print("begun", flush=True)
while not pathlib.Path("/work/go").exists():
    time.sleep(0.1)
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "out.txt").write_text("made")
"""


def write_noise(power: int) -> str:
    """Return a script whose output has 2**power random bytes."""
    path = "pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'big')"
    return f"import os, pathlib\n{path}.write_bytes(os.urandom(2**{power}))\n"


def wait_until_begun(job: Job) -> None:
    """Wait for the first line; fail at once if the job ended without it."""

    def begun() -> bool:
        status = job.status()  # before the log: a job that ends in between has its line
        found = any(line.text == "begun" for line in job.logs())
        assert found or status.exit_code is None, status
        return found

    until(begun, within=900, describe=lambda: f"{job.status()}\n{describe_pods(job)}")


def describe_pods(job: Job) -> str:
    """Return what the cluster knows about the job's pods, and its nodes, for a person who reads why a test failed."""
    _, namespace, name = job.handle.parts
    pods = kubectl("describe", "pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={name}", check=False)
    return pods + kubectl("describe", "nodes", check=False)


def find_pod(job: Job) -> str:
    """Return the name of the job's newest pod."""
    _, namespace, name = job.handle.parts
    pods = get("pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={name}")["items"]
    return str(max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])["metadata"]["name"])


def let_go_on(job: Job) -> None:
    """Let the script HELD of the newest pod end, as soon as that pod runs."""

    def go() -> bool:
        command = ["kubectl", "exec", "-n", job.handle.parts[1], find_pod(job), "--", "touch", "/work/go"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    until(go, within=900, describe=lambda: f"{job.status()}\n{describe_pods(job)}")


def let_next_go_on(job: Job, first: str) -> None:
    """Wait until another pod has replaced the first one, and let its script HELD end."""
    until(lambda: find_pod(job) != first, within=900, describe=lambda: f"{job.status()}\n{describe_pods(job)}")
    let_go_on(job)


def assert_success(job: Job, into: Path) -> JobStatus:
    """Wait for the job, fetch what it made and return its status."""
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status
    (file,) = job.fetch(into)
    assert file.read_text() == "made"
    return status
