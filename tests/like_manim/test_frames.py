"""The number of frames in result.json is that of the video, and scenes nest as deeply as in plain Manim."""

from __future__ import annotations

import pytest
from engine.renders import decode_frames
from like_manim.conftest import OpenProject

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scene", ["Skips", "SkipsSerially", "Starts", "Slows", "Nests"])
def test_frames_are_those_of_the_video(scene: str, open_project: OpenProject) -> None:
    project = open_project("frames")
    plain, found = project.run_plain("scene.py", scene), project.submit("scene.py", scene)
    assert plain.exit_code == found.exit_code == 0
    frames = len(decode_frames(found.files[f"{scene}.mp4"]))
    assert found.result["render"]["frames"] == frames == len(decode_frames(plain.files[f"{scene}.mp4"]))
