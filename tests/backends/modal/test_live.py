"""Modal itself, not the fake server: for people with an account, who pay. ``MODAL_LIVE=1 make test-modal-live``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.rigs.base import Rig

from backends import JobState

pytestmark = pytest.mark.skipif(
    os.environ.get("MODAL_LIVE") != "1", reason="needs a Modal account and costs money: set MODAL_LIVE=1 and a token"
)
SCENE = """
from manim import *
class Dots(Scene):
    def construct(self):
        self.play(Create(Dot()), run_time=0.2)
"""
GPU = (
    "import os, pathlib, subprocess\n"
    "said = subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True, check=True).stdout\n"
    "pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'gpu.txt').write_text(said)\n"
)
JOB_TIMEOUT_S = 3600  # the first job builds the image


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig("modal", {"modal.state_dir": tmp_path / "jobs"})


def test_live_a_scene_is_rendered(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "scene.py").write_text(SCENE)
    job = rig.submit(tmp_path / "scene.py", "Dots", quality="l")
    assert job.wait(JOB_TIMEOUT_S).state is JobState.SUCCEEDED
    assert [file.name for file in job.fetch(tmp_path / "out")] == ["Dots.mp4"]
    job.delete()


def test_live_the_gpu_is_an_a10g(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "gpu.py").write_text(GPU)
    job = rig.submit(tmp_path / "gpu.py")
    assert job.wait(JOB_TIMEOUT_S).state is JobState.SUCCEEDED
    (file,) = job.fetch(tmp_path / "out")
    assert "A10" in file.read_text()
    job.delete()


def test_live_cancel_ends_a_running_job(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text("import time\nprint('openjd_progress: 1', flush=True)\ntime.sleep(600)\n")
    job = rig.submit(tmp_path / "hang.py")
    next(iter(job.logs(follow=True)))
    job.cancel()
    assert job.status().state is JobState.CANCELLED
    job.delete()
