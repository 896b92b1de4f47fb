"""Several units of one job: side by side, each with its own end and attempts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modal_proto import api_pb2 as pb
from support.modal_server import FakeModal
from support.processes import until
from support.rigs.base import Rig

from backends import JobState
from backends.exit_codes import ExitCode
from backends.modal.request import OUTPUTS_MOUNT

Script = Callable[[str], Path]
SCENES = """
from manim import *
import os, time
class Good(Scene):
    def construct(self):
        self.add(Dot())
        self.wait(0.2)
class Bad(Scene):
    def construct(self):
        raise ValueError("no")
class Slow(Scene):
    def construct(self):
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.05)
        self.add(Dot())
        self.wait(0.2)
"""
SMALL = {"resolution": "160x90", "fps": 10}


def test_units_end_each_on_its_own(rig: Rig, fake: FakeModal, script: Script, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = rig.submit(script(SCENES), "Slow", "Good", "Bad", env={"GATE": str(gate)}, **SMALL)
    assert sorted(item.idx for put in fake.sent(pb.FunctionPutInputsRequest) for item in put.inputs) == [0, 1, 2]
    assert len(fake.sent(pb.FunctionMapRequest)) == 1
    until(lambda: sum(unit.state.terminal for unit in job.status().units) == 2)
    status = job.status()
    assert status.state is JobState.RUNNING
    assert [unit.state for unit in status.units] == [JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED]
    assert [file.name for file in job.fetch(tmp_path / "early")] == ["Good.mp4"]
    gate.touch()
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.USER_CODE)
    assert status.units[2].message == "Bad raised ValueError: no"
    assert sorted(file.name for file in job.fetch(tmp_path / "out")) == ["Good.mp4", "Slow.mp4"]


def test_cancel_keeps_units_that_are_done(rig: Rig, script: Script, tmp_path: Path) -> None:
    job = rig.submit(script(SCENES), "Good", "Slow", env={"GATE": str(tmp_path / "never")}, **SMALL)
    until(lambda: job.status().units[0].state is JobState.SUCCEEDED)
    job.cancel()
    status = job.status()
    assert status.state is JobState.CANCELLED
    assert [unit.state for unit in status.units] == [JobState.SUCCEEDED, JobState.CANCELLED]
    assert [file.name for file in job.fetch(tmp_path / "out")] == ["Good.mp4"]


def test_a_user_error_is_not_tried_again(rig: Rig, fake: FakeModal, script: Script, tmp_path: Path) -> None:
    attempts = tmp_path / "attempts"
    path = script(f"open({str(attempts)!r}, 'a').write('x')\nraise SystemExit(3)\n")
    status = rig.submit(path, retries=3).wait(600)
    assert status.exit_code == ExitCode.USER_CODE
    assert attempts.read_text() == "x"
    assert fake.state.calls


def test_a_lost_worker_is_tried_again_and_the_try_is_counted(rig: Rig, script: Script, tmp_path: Path) -> None:
    attempts = tmp_path / "attempts"
    path = script(
        f"import os, signal\nwith open({str(attempts)!r}, 'a') as f: f.write('x')\n"
        f"if os.path.getsize({str(attempts)!r}) == 1: os.kill(os.getpid(), signal.SIGKILL)\nprint('second')\n"
    )
    status = rig.submit(path, retries=2).wait(600)
    assert status.state is JobState.SUCCEEDED
    assert status.units[0].attempt == 2
    assert attempts.read_text() == "xx"


def test_when_every_try_is_lost_the_last_reason_is_told(rig: Rig, script: Script) -> None:
    status = rig.submit(script("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"), retries=1).wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.LOST)
    assert status.units[0].attempt == 2
    assert "SIGKILL" in (status.units[0].message or "")


def test_of_many_units_only_those_that_may_have_ended_are_asked_for(rig: Rig, fake: FakeModal, script: Script) -> None:
    scenes = "".join(
        f"class S{number}(Scene):\n    def construct(self):\n        self.wait(0.1)\n" for number in range(200)
    )
    with fake.faults(no_capacity=True):
        job = rig.submit(script("from manim import *\n" + scenes), all_scenes=True, **SMALL)
        call = fake.state.calls[job.handle.parts[1]]
        folder = fake.mounted(job.handle.parts[1], OUTPUTS_MOUNT) / "ended"
        folder.mkdir(parents=True)
        (folder / "150").touch()
        call.inputs[150].end(pb.GenericResult.GENERIC_STATUS_TIMEOUT, "too long")
        fake.state.requests.clear()
        status = job.status()
        assert [index for index, unit in enumerate(status.units) if unit.state.terminal] == [150]
        assert len(fake.sent(pb.FunctionGetOutputsRequest)) < 30
        job.cancel()
        assert job.status().units[150].exit_code == ExitCode.TIMEOUT
        assert job.status().units[199].state is JobState.CANCELLED
