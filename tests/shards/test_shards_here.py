"""Shards on this machine: one of them that fails for good ends the job, and its problem is that of the scene."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.clocks import set_clock_ahead
from support.rigs.base import Rig
from support.s3 import s3_server

from backends import JobState
from backends.errors import TransientError
from backends.exit_codes import ExitCode
from backends.worker_protocol import RETRIED

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


def test_a_node_whose_clock_is_wrong_is_named_and_its_shard_tried_again(tmp_path: Path) -> None:
    program = (
        "import os\nfrom backends.storage import Storage\nStorage('s3://frames/film', attempts=1).put_bytes('a', b'')\n"
    )
    with s3_server(tmp_path / "s3") as keys:
        command, env = [sys.executable, "-c", program], {**os.environ, **keys}
        subprocess.run(command, env=env, check=True)
        ahead = subprocess.run(
            command, env={**env, **set_clock_ahead(tmp_path)}, capture_output=True, text=True, check=False
        )
    assert "TransientError: the store s3://frames/film refused the time of this machine" in ahead.stderr
    assert TransientError.exit_code in RETRIED


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
