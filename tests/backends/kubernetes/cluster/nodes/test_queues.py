"""Jobs in the queues of Kueue: why they wait, who is preempted, and that what is finished stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.processes import until
from support.rigs.base import Rig
from support.rigs.kubernetes import get, list_objects
from support.rigs.kueue import create_queues, find_kueue, running_kueue
from support.rigs.kwok import LABEL_ENDS, fake_nodes

from backends import JobState
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.paths import core_path, jobs_path
from renderer.api import Job

pytestmark = pytest.mark.cluster
SUCCEEDED, RUNNING, PENDING = JobState.SUCCEEDED, JobState.RUNNING, JobState.PENDING
WAIT_S = 300.0


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Yield a rig whose nodes have four GPUs: more than the queues lend."""
    with fake_nodes(tmp_path_factory.mktemp("nodes"), 4):
        yield Rig("k8s", {"image": "registry.test/any:1", "gpu": "1", "k8s.units_per_pod": 1})


@pytest.fixture
def queues(nodes: Rig, tmp_path: Path) -> Iterator[Rig]:
    """Yield the rig with the queues `films` and `drafts`, of one GPU each, which lend it to each other."""
    with running_kueue(tmp_path, find_kueue()):
        create_queues({"films": 1, "drafts": 1})
        yield nodes


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "work.py"
    path.parent.mkdir()
    path.write_text("print('never runs: the nodes do not exist')\n")
    return path


def until_units_are(job: Job, *states: JobState) -> None:
    def found() -> list[JobState]:
        return [unit.state for unit in job.status().units]

    until(lambda: found() == list(states), within=WAIT_S, describe=lambda: f"{job.status()}")


def until_waits_for(job: Job, reason: str) -> str:
    """Wait until the reason why a job waits contains this; return the whole reason."""
    until(lambda: reason in str(job.status().reason), within=WAIT_S, describe=lambda: f"{job.status()}")
    return str(job.status().reason)


def end_units(job: Job, *units: int) -> None:
    """Let the running pods of these units end."""
    api, name = Api(None), job.handle.parts[2]
    for pod in list(api.list_items(core_path("default", "pods"), labelSelector=f"batch.kubernetes.io/job-name={name}")):
        if pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] in map(str, units):
            api.patch(core_path("default", "pods", pod["metadata"]["name"]), {"metadata": {"labels": LABEL_ENDS}})


def find_busy_queues(jobs: Iterable[Job]) -> list[str]:
    """Return the queue of each job that runs."""
    running = [job.handle.parts[2] for job in jobs if job.status().state is RUNNING]
    return sorted(get("job", name)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] for name in running)


def test_a_job_that_its_queue_stops_goes_on_with_the_units_that_are_left(nodes: Rig, script: Path) -> None:
    """The test suspends the Job and lets it go on, as Kueue does with one it preempts, where Kueue is not installed."""
    api, before = Api(None), list_objects("default")
    job = nodes.map(script, range(3), **{"k8s.queue": "renders"}).job
    path = jobs_path("default", job.handle.parts[2])
    until_units_are(job, RUNNING, RUNNING, RUNNING)
    end_units(job, 0)
    until_units_are(job, SUCCEEDED, RUNNING, RUNNING)
    api.patch(path, {"spec": {"suspend": True}})
    until_units_are(job, SUCCEEDED, PENDING, PENDING)
    assert job.status().reason == "the job waits in the queue 'renders'"
    api.patch(path, {"spec": {"suspend": False}})
    until_units_are(job, SUCCEEDED, RUNNING, RUNNING)
    job.cancel()
    assert [unit.state for unit in job.status().units] == [SUCCEEDED, JobState.CANCELLED, JobState.CANCELLED]
    job.delete()
    assert list_objects("default") == before


def test_who_waits_is_told_why_and_goes_on_with_what_is_left(queues: Rig, script: Path) -> None:
    before = list_objects("default")

    def submit(queue: str | None, units: int, **more: Any) -> Job:
        return queues.map(script, range(units), **{"k8s.queue": queue, "k8s.parallelism": 2, **more}).job

    # nobody else wants a GPU: the drafts get both
    draft = submit("drafts", 3)
    until_units_are(draft, RUNNING, RUNNING, PENDING)
    end_units(draft, 0)
    until_units_are(draft, SUCCEEDED, RUNNING, RUNNING)

    # the other queue takes its own back; a job without a queue does not wait
    film, free = submit("films", 1), submit(None, 1)
    until_units_are(free, RUNNING)
    until_units_are(film, RUNNING)
    until_units_are(draft, SUCCEEDED, PENDING, PENDING)
    reason = until_waits_for(draft, "it needs")
    assert reason.startswith("the job was preempted because another queue"), reason
    assert reason.endswith("it needs 1 more nvidia.com/gpu (of l4) than is free in the quota"), reason

    end_units(film, 0)
    until_units_are(film, SUCCEEDED)
    until_units_are(draft, SUCCEEDED, RUNNING, RUNNING)  # the first unit does not run again
    end_units(draft, 1, 2)
    until_units_are(draft, SUCCEEDED, SUCCEEDED, SUCCEEDED)

    # what the queues never have, and a queue that is not there
    large, lost = submit("films", 4, **{"k8s.parallelism": 4}), submit("nowhere", 1)
    reason = until_waits_for(large, ":")
    assert reason.endswith("it asks for 4 nvidia.com/gpu at once, and the queue has 2 at most"), reason
    assert "--parallelism" in str(large.status().hint)
    until_waits_for(lost, "doesn't exist")
    large.cancel()
    assert large.status().state is JobState.CANCELLED

    # each queue has its fair share: one GPU
    both = [
        submit(queue, 2, **{"k8s.parallelism": 1, "k8s.labels": {"test": f"{number}"}})
        for number in (0, 1)
        for queue in ("films", "drafts")
    ]
    until(lambda: find_busy_queues(both) == ["drafts", "films"], within=WAIT_S)
    for job in (draft, film, free, large, lost, *both):
        job.delete()
    until(lambda: list_objects("default") == before, within=WAIT_S)
