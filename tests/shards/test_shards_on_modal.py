"""One scene in many containers of the fake Modal server: they put clips on the volume, and one more joins them.

This was not tried on Modal's own servers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from modal_proto import api_pb2 as pb
from support.modal_server import FakeModal
from support.modal_server.state import FAILURE
from support.processes import until
from support.rigs.base import Rig
from support.rigs.modal import environment

from backends import JobState
from backends.exit_codes import ExitCode
from renderer.api import Job

pytestmark = pytest.mark.modal
FILM = """\
import os, random, time
from pathlib import Path
from manim import *

class Film(Scene):
    def construct(self):
        for _ in range(3):
            circle = Circle(random.random() + 0.5)
            self.play(Create(circle), run_time=0.5)
            self.remove(circle)
        if gate := os.environ.get("GATE"):
            Path(f"{gate}-{os.getpid()}").touch()
            while not Path(gate).exists():
                time.sleep(0.05)
            if Path(gate).read_text() and not Path(f"{gate}-fails").exists():
                Path(f"{gate}-fails").touch()
                raise ValueError("no such luck")
            while Path(gate).read_text():
                time.sleep(0.05)
        self.play(Create(Square()), run_time=0.5)
"""
SMALL: dict[str, object] = {"resolution": "160x90", "fps": 10, "encoder_preset": "manim"}
SEED: dict[str, object] = {"manim_options": ("--seed", "7")}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeModal]:
    with FakeModal() as running, environment(running):
        yield running


@pytest.fixture
def rig(tmp_path: Path, fake: FakeModal) -> Rig:
    fake.state.requests.clear()
    return Rig("modal", {"modal.state_dir": tmp_path / "jobs"})


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file for which the scenes wait before their last play."""
    return tmp_path / "gate"


def submit(rig: Rig, folder: Path, **settings: object) -> Job:
    folder.mkdir(exist_ok=True)
    (folder / "film.py").write_text(FILM)
    return rig.submit(folder / "film.py", "Film", **SMALL, **SEED, **settings)


def find_calls(fake: FakeModal, job: Job) -> list[str]:
    """Return the calls that the call of the job has made."""
    (function,) = fake.state.calls[job.handle.parts[1]].function.definition.volume_mounts
    path = fake.volume("renderer-inputs") / function.sub_path.lstrip("/") / "calls.json"
    return json.loads(path.read_text()) if path.exists() else []


def wait_at_gate(gate: Path, processes: int) -> None:
    until(lambda: len(list(gate.parent.glob("gate-*"))) >= processes)


def test_the_frames_are_those_of_one_process_although_containers_are_lost(
    rig: Rig, fake: FakeModal, tmp_path: Path, gate: Path
) -> None:
    here = Rig("local", {"local.state_dir": tmp_path / "here", "local.cache_mib": 0})
    whole = submit(here, tmp_path / "project")
    job = submit(rig, tmp_path / "project", shards=2, retries=2, env={"GATE": str(gate)})
    wait_at_gate(gate, 2)
    until(lambda: bool(find_calls(fake, job)))
    status = job.status()
    assert (status.state, status.units[0].name, len(status.units)) == (JobState.RUNNING, "Film", 1)
    assert job.fetch(tmp_path / "early") == []
    fake.preempt(job.handle.parts[1])  # its next attempt goes on with the same calls
    fake.lose(find_calls(fake, job)[0])
    wait_at_gate(gate, 4)
    gate.touch()
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, status
    assert (status.units[0].progress, status.units[0].activity, status.units[0].attempt) == (100.0, None, 2)
    assert [path.name for path in job.fetch(tmp_path / "out")] == ["Film.mp4"]
    whole.wait(600)
    whole.fetch(tmp_path / "whole")
    assert (tmp_path / "out" / "Film.mp4").read_bytes() == (tmp_path / "whole" / "Film.mp4").read_bytes()
    assert {line.text.partition(":")[0] for line in job.logs(follow=True)} == {"shard 0", "shard 1"}
    assert len(find_calls(fake, job)) == 2
    job.delete()
    assert [path for name in ("renderer", "renderer-inputs") for path in fake.volume(name).rglob("*.*")] == []
    # what runs code of the user cannot use Modal's API, and what can is in an image without it
    functions = {request.function.function_name: request.function for request in fake.sent(pb.FunctionCreateRequest)}
    assert {name: function.untrusted for name, function in functions.items()} == {
        "render": True,
        "shards": False,
    }
    assert functions["shards"].image_id != functions["render"].image_id
    assert not functions["shards"].resources.gpu_config.gpu_type


def test_a_shard_that_fails_ends_the_others(rig: Rig, fake: FakeModal, tmp_path: Path, gate: Path) -> None:
    job = submit(rig, tmp_path / "project", shards=2, env={"GATE": str(gate)})
    wait_at_gate(gate, 2)
    until(lambda: bool(find_calls(fake, job)))
    (tmp_path / "text").write_text("one fails, the others wait")
    (tmp_path / "text").rename(gate)
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.USER_CODE)
    assert [unit.message for unit in status.units] == ["Film raised ValueError: no such luck"]
    assert len(find_calls(fake, job)) == 1
    until(lambda: not fake.running(find_calls(fake, job)[0]))
    assert job.fetch(tmp_path / "out") == []
    assert any("no such luck" in line.text for line in job.logs())


def test_a_shard_that_runs_out_of_memory_ends_the_job(rig: Rig, fake: FakeModal, tmp_path: Path, gate: Path) -> None:
    job = submit(rig, tmp_path / "project", shards=2, env={"GATE": str(gate)})
    wait_at_gate(gate, 2)
    until(lambda: bool(find_calls(fake, job)))
    fake.lose(find_calls(fake, job)[0], pb.GenericResult(status=FAILURE, exception="OOM: the container was killed"))
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY)
    assert "it ran out of memory at Modal (8 GiB were requested)" in (status.units[0].message or "")


def test_cancel_ends_all_shards(rig: Rig, fake: FakeModal, tmp_path: Path, gate: Path) -> None:
    job = submit(rig, tmp_path / "project", shards=2, env={"GATE": str(gate)})
    wait_at_gate(gate, 2)
    until(lambda: bool(find_calls(fake, job)))
    calls = [job.handle.parts[1], *find_calls(fake, job)]
    job.cancel()
    assert job.status().state is JobState.CANCELLED
    assert len(calls) == 2
    until(lambda: not any(fake.running(call) for call in calls))
