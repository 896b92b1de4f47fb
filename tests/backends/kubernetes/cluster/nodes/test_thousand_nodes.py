"""Jobs of a thousand and of ten thousand units on a thousand nodes: what the client's commands cost, and leave."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.commands import BIN, environment
from support.processes import until
from support.rigs.base import Rig
from support.rigs.kubernetes import list_objects
from support.rigs.kwok import LABEL_ENDS, fake_nodes

from backends import JobState
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.paths import core_path, jobs_path
from renderer.api import Job

pytestmark = pytest.mark.cluster
NODES = 1000
PODS = 250  # that run at the same time, each on a node: more than a page of a list
PAGES = 2
WAIT_S = 600.0
REQUEST = re.compile(r"transport: (\w+) (\S+): (\d+)")
# Measures a command from a small process: what a process uses counts from before it becomes the command.
MEASURE = """\
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
sys.exit(code)
"""


@dataclass(frozen=True)
class Measured:
    """What a command printed, what it used, and its requests, by method and the last word of their path."""

    printed: Any
    cpu_s: float
    memory_mib: float
    requests: Counter[str]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with fake_nodes(tmp_path_factory.mktemp("nodes"), NODES):
        yield Rig("k8s", {"image": "registry.test/any:1", "gpu": "none", "cpu": 1})


@pytest.fixture
def measure(tmp_path: Path) -> Callable[..., Measured]:
    """Return a function that runs `renderer` as a user; it is repeated as long as pods need more time to end."""
    variables = environment(tmp_path, RENDERER_LOG="debug", XDG_STATE_HOME=os.environ["XDG_STATE_HOME"])
    used = tmp_path / "used.json"

    def run(*arguments: str) -> Measured:
        command: list[str | Path] = [sys.executable, "-I", "-S", "-c", MEASURE, used, BIN / "renderer", *arguments]
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
        if "still exist" in done.stderr:
            return run(*arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        requests = Counter(f"{found[1]} {found[2].rpartition('/')[2]}" for found in REQUEST.finditer(done.stderr))
        printed = json.loads(done.stdout) if "--json" in arguments else done.stdout
        cpu_s, memory_mib = json.loads(used.read_text())
        return Measured(printed, cpu_s, memory_mib, requests)

    return run


def count_nodes_with_pods(api: Api, job: Job) -> int:
    """Return on how many nodes a pod of the job runs."""
    running = api.list_items(
        core_path("default", "pods"),
        labelSelector=f"batch.kubernetes.io/job-name={job.handle.parts[2]}",
        fieldSelector="status.phase=Running",
    )
    return len({pod["spec"]["nodeName"] for pod in running})


def count_writes(measured: Measured) -> Counter[str]:
    """Return the number of requests that change something, by method."""
    return Counter(key.split()[0] for key in measured.requests.elements() if not key.startswith("GET"))


def test_ten_thousand_units_cost_the_client_little_and_leave_nothing(
    nodes: Rig, tmp_path: Path, measure: Callable[..., Measured]
) -> None:
    script = tmp_path / "work.py"
    script.write_text("print('never runs: the nodes do not exist')\n")
    api, before = Api(None), list_objects("default")
    names = [{"name": f"an-input-with-a-long-name-{index:05d}"} for index in range(10_000)]
    large = nodes.map(script, names, **{"k8s.units_per_pod": 1, "k8s.parallelism": PODS}).job
    ending = {"k8s.labels": LABEL_ENDS, "k8s.units_per_pod": 10}
    small = nodes.map(script, range(1000), **ending).job
    missing = nodes.map(script, range(1), gpu="H100").job
    until(lambda: count_nodes_with_pods(api, large) > PODS // 2, within=WAIT_S)
    until(lambda: api.get(jobs_path("default", large.handle.parts[2]))["status"].get("ready") == PODS, within=WAIT_S)
    until(lambda: small.status().state is JobState.SUCCEEDED, within=WAIT_S)

    listed = measure("list", "--backend", "k8s", "--json")
    assert listed.requests == {"GET jobs": 1}
    found = {each["handle"]: (each["state"], each["units"]["total"], each["units"]["ended"]) for each in listed.printed}
    assert found[str(large.handle)] == ("running", 10_000, 0)
    assert found[str(small.handle)] == ("succeeded", 1000, 1000)

    status, status_small = (measure("status", "--json", str(job.handle)) for job in (large, small))
    states = Counter(unit["state"] for unit in status.printed["units"])
    assert states == {"running": PODS, "pending": 10_000 - PODS}
    assert {unit["state"] for unit in status_small.printed["units"]} == {"succeeded"}
    assert 40 in {unit["progress"] for unit in status.printed["units"]}
    assert status.cpu_s - listed.cpu_s < 3, (status.cpu_s, listed.cpu_s)
    assert status.memory_mib - status_small.memory_mib < 30, (status.memory_mib, status_small.memory_mib)
    assert status.requests.pop("GET log") <= PODS
    assert status.requests == {f"GET {large.handle.parts[2]}": 1, "GET pods": PAGES}

    until(lambda: "H100" in str(missing.status().reason))
    explained = measure("status", "--json", str(missing.handle))
    assert explained.requests["GET nodes"] == NODES / 200

    cancelled = count_writes(measure("cancel", str(large.handle)))
    del cancelled["WEBSOCKET"]  # kwok's pods are ready, as if outputs waited in them; none can be downloaded
    assert cancelled == {"PATCH": 1}
    assert large.status().state is JobState.CANCELLED
    for job in (large, small, missing):
        assert count_writes(measure("delete", str(job.handle))) == {"DELETE": 2}  # the Job and its inputs
    assert list_objects("default") == before
