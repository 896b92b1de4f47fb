"""What every backend promises for Manim scenes: the frames are those of plain Manim."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
from support.rigs.base import Rig
from support.video import frames

from backends import JobState
from backends.exit_codes import ExitCode

SCENES = Path(__file__).parent / "scenes" / "four.py"
SMALL = {"resolution": "160x90", "fps": 10}


def test_frames_are_those_of_plain_manim(rig: Rig, project: Path, tmp_path: Path, reference: dict[str, Path]) -> None:
    shutil.copytree(SCENES.parent, project, dirs_exist_ok=True)  # this checkout leaves its tests out of bundles
    job = rig.submit(project / SCENES.name, all_scenes=True, encoder_preset="manim", **SMALL)
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, [(unit.name, unit.message) for unit in status.units]
    files = {path.name: path for path in job.fetch(tmp_path / "out")}
    assert set(files) == {"Words.mp4", "Formula.mp4", "Solid.mp4", "Sound.mp4", "Sound.srt"}
    for scene, video in reference.items():
        assert frames(files[f"{scene}.mp4"]) == frames(video), scene
    assert files["Sound.srt"].read_text() == reference["Sound"].with_suffix(".srt").read_text()
    with av.open(str(files["Sound.mp4"])) as ours, av.open(str(reference["Sound"])) as plain:
        assert ours.streams.audio[0].duration == plain.streams.audio[0].duration


def test_a_scene_that_raises_says_where_and_the_others_come_back(rig: Rig, project: Path, tmp_path: Path) -> None:
    path = project / "two.py"
    path.write_text(
        "from manim import *\n"
        "class Good(Scene):\n"
        "    def construct(self):\n"
        "        self.play(Create(Dot()), run_time=0.2)\n"
        "class Bad(Scene):\n"
        "    def construct(self):\n"
        "        self.play(Create(1 / 0))\n"
    )
    job = rig.submit(path, "Good", "Bad", **SMALL)
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.USER_CODE)
    good, bad = status.units
    assert (good.state, bad.state) == (JobState.SUCCEEDED, JobState.FAILED)
    assert bad.message == "Bad raised ZeroDivisionError: division by zero"
    assert bad.details == "two.py:7 in construct: self.play(Create(1 / 0))"
    assert [file.name for file in job.fetch(tmp_path / "out")] == ["Good.mp4"]


def test_the_log_says_why_a_scene_was_rendered_serially(rig: Rig, project: Path) -> None:
    (project / "looks.py").write_text(
        "from manim import *\n"
        "class Looks(Scene):\n"
        "    def construct(self):\n"
        "        self.play(Create(Dot()), run_time=0.2)\n"
        "        self.renderer.get_frame()\n"
    )
    job = rig.submit(project / "looks.py", **SMALL)
    status = job.wait(600)
    assert status.state is JobState.SUCCEEDED, [(unit.name, unit.message) for unit in status.units]
    said = [line.text for line in job.logs()]
    assert said.count("Looks was rendered serially: it reads the pixels of a frame") == 1


def test_a_wrong_manim_cfg_is_named(rig: Rig, project: Path) -> None:
    (project / "one.py").write_text("from manim import *\nclass One(Scene):\n    pass\n")
    (project / "manim.cfg").write_text("[CLI]\nquality = nonsense\n")
    status = rig.submit(project / "one.py").wait(600)
    assert status.exit_code == ExitCode.USER_CODE
    assert (status.units[0].message or "").startswith("manim.cfg cannot be used:")
