"""A call whose answer is lost may have arrived: it does not run without anybody knowing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.commands import BIN, environment
from support.modal_server import FakeModal
from support.processes import until
from support.rigs.base import Rig

from backends import JobState
from backends.errors import JobNotFoundError, TransientError
from backends.exit_codes import ExitCode
from backends.modal.request import OUTPUTS_MOUNT

Script = Callable[[str], Path]
SCENE = (
    "class {name}(Scene):\n    def construct(self):\n        open({trace!r}, 'a').write('x')\n        self.wait(0.1)\n"
)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A file that every scene which runs writes to."""
    return tmp_path / "trace"


@pytest.fixture
def scenes(rig: Rig, script: Script, trace: Path) -> Callable[[int], Path]:
    """Write a file of so many scenes, with the function deployed."""
    rig.submit(script("print(1)\n")).wait(600)

    def write(count: int) -> Path:
        text = "".join(SCENE.format(name=f"S{number}", trace=str(trace)) for number in range(count))
        return script(f"from manim import Scene\n{text}")

    return write


def only_new_call(fake: FakeModal, before: set[str]) -> str:
    (call,) = set(fake.state.calls) - before
    return call


def has_ended(fake: FakeModal, call: str) -> bool:
    return all(item.output for item in fake.state.calls[call].inputs.values())


@pytest.mark.parametrize(("count", "rpc"), [(1, "FunctionMap"), (2, "FunctionPutInputs")])
def test_what_was_taken_without_an_answer_does_not_run_beside_the_next_try(
    rig: Rig, fake: FakeModal, scenes: Callable[[int], Path], trace: Path, count: int, rpc: str
) -> None:
    path, before = scenes(count), set(fake.state.calls)
    with (
        fake.faults(no_capacity=True, lost_answers=frozenset({rpc})),
        pytest.raises(TransientError, match="Modal did not answer") as caught,
    ):
        rig.submit(path, all_scenes=True, resolution="160x90", fps=10)
    assert "if Modal received this job after all, it ends as soon as it starts" in (caught.value.hint or "")
    lost = only_new_call(fake, before)
    job = rig.submit(path, all_scenes=True, resolution="160x90", fps=10)
    assert job.wait(600).state is JobState.SUCCEEDED
    until(lambda: has_ended(fake, lost))
    assert trace.read_text() == "x" * count
    assert not (fake.mounted(lost, OUTPUTS_MOUNT) / "0").exists()
    assert job.handle in [status.handle for status in job.backend.list()]


def test_what_cannot_be_withdrawn_either_is_said_and_can_be_cancelled(
    rig: Rig, fake: FakeModal, scenes: Callable[[int], Path], trace: Path, tmp_path: Path
) -> None:
    path, before = scenes(1), set(fake.state.calls)
    with fake.faults(no_capacity=True):
        with (
            fake.faults(no_capacity=True, disconnect_after="FunctionMap"),
            pytest.raises(TransientError, match="Modal may have received the job and run it") as caught,
        ):
            rig.submit(path)
        hint = caught.value.hint or ""
        assert "`modal function calls renderer-" in hint
        handle = hint.partition("renderer cancel ")[2].partition("fc-…")[0] + only_new_call(fake, before)
        job = replace(rig, settings={"modal.state_dir": tmp_path / "another"}).open(handle)
        assert job.status().state is JobState.PENDING
        job.cancel()
        assert job.status().state is JobState.CANCELLED
    assert not trace.exists()


def test_a_call_that_modal_does_not_know_is_not_found(rig: Rig) -> None:
    with pytest.raises(JobNotFoundError):
        rig.open("modal://renderer-0.1.0/fc-0123456789").status()


def test_ctrl_c_while_the_call_is_made_leaves_nothing_that_runs(
    fake: FakeModal, scenes: Callable[[int], Path], trace: Path, tmp_path: Path
) -> None:
    path, before = scenes(1), set(fake.state.calls)
    command = [str(BIN / "renderer"), "submit", str(path), "--backend", "modal"]
    with fake.faults(no_capacity=True, slow_answers={"FunctionMap": 600.0}) as faults:
        submit = subprocess.Popen(
            command, cwd=tmp_path, env=environment(tmp_path / "home", **fake.environment), stderr=subprocess.DEVNULL
        )
        until(lambda: faults.seen["FunctionMap"] > 0)
        os.kill(submit.pid, signal.SIGINT)
        assert submit.wait(600) == ExitCode.INTERRUPTED
    until(lambda: has_ended(fake, only_new_call(fake, before)))
    assert not trace.exists()
