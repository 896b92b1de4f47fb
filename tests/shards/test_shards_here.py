"""Shards on this machine: one of them that fails for good ends the job, and its problem is that of the scene."""

from __future__ import annotations

from pathlib import Path

from support.rigs.base import Rig

from backends import JobState
from backends.exit_codes import ExitCode

FILM = """\
import os, time
from manim import *

class Film(Scene):
    def construct(self):
        self.play(Create(Circle()), run_time=0.5)
        try:
            open(os.environ["MARK"], "x")
        except FileExistsError:
            time.sleep(600)
        raise MemoryError
"""


def test_a_shard_that_runs_out_of_memory_ends_the_job(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "film.py").write_text(FILM)
    rig = Rig("local", {"local.state_dir": tmp_path / "jobs", "local.cache_mib": 0})
    settings = {"resolution": "64x36", "fps": 5, "env": {"MARK": str(tmp_path / "mark")}}
    job = rig.submit(tmp_path / "project" / "film.py", "Film", shards=3, **settings)
    status = job.wait(300)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.USER_CODE)
    (unit,) = status.units
    assert (unit.name, unit.state, unit.exit_code) == ("Film", JobState.FAILED, ExitCode.USER_CODE)
    assert "MemoryError" in (unit.message or "")
    assert job.fetch(tmp_path / "out") == []
    job.delete()
    assert [path for path in (tmp_path / "jobs").rglob("*") if path.is_file() and "film" in str(path)] == []
