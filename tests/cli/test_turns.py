"""Many jobs of a user on this machine: a few render at the same time, the others wait in their order."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from support.processes import until
from support.rigs.local import local

from backends import JobState
from backends.local.turns import count_turns
from renderer.api import Job

SCENE = """import os, time
from manim import Scene, Dot
class Wait(Scene):
    def construct(self):
        while not os.path.exists({go!r}):
            time.sleep(0.05)
        self.add(Dot())
"""


def explain(job: Job) -> str:
    problem = job.status().problem
    return problem.message if problem else ""


def test_jobs_take_turns(tmp_path: Path) -> None:
    go, project = tmp_path / "go", tmp_path / "a project"
    project.mkdir()
    scene, script = project / "wait.py", project / "script.py"
    scene.write_text(SCENE.format(go=str(go)))
    script.write_text("print('at once')\n")
    turns = count_turns()
    with local(tmp_path / "state") as rig:
        running = [rig.submit(scene, "Wait") for _ in range(turns)]
        until(lambda: all(job.status().state is JobState.RUNNING for job in running))
        second, third = rig.submit(scene, "Wait"), rig.submit(scene, "Wait")
        until(lambda: explain(second).startswith(f"it waits for its turn: {turns} earlier jobs of yours"))
        until(lambda: explain(third).startswith(f"it waits for its turn: {turns + 1} earlier jobs of yours"))
        assert second.status().state is third.status().state is JobState.PENDING

        assert rig.submit(script).wait(600).state is JobState.SUCCEEDED  # scripts do not wait

        stopped = rig.submit(scene, "Wait")
        until(lambda: explain(stopped).startswith(f"it waits for its turn: {turns + 2} earlier jobs of yours"))
        os.kill(int((tmp_path / "state" / "jobs" / stopped.handle.parts[0] / "pid").read_text()), signal.SIGTERM)
        assert stopped.wait(600).state is JobState.FAILED
        assert "told to stop by SIGTERM" in explain(stopped)

        second.cancel()
        assert second.status().state is JobState.CANCELLED
        until(lambda: f"{turns} earlier jobs" in explain(third))

        folder = tmp_path / "state" / "jobs" / running[0].handle.parts[0]
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)  # the kernel ends its turn
        until(lambda: third.status().state is JobState.RUNNING)
        go.touch()
        assert {job.wait(600).state for job in (*running[1:], third)} == {JobState.SUCCEEDED}
        until(lambda: [path.name for path in (tmp_path / "state" / "jobs" / ".turns").iterdir()] == ["lock"])
