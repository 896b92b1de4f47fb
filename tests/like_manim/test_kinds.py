"""The kinds of scenes that people have leave the same files as `manim render` in the same folder."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

import pytest
from like_manim.conftest import MakeProject, OpenProject

pytestmark = pytest.mark.slow

CONFIGURED = """
import sys

from manim import *

config.frame_rate = 8
config.pixel_width, config.pixel_height = 120, 68
config.background_color = "#334455"

class Szene_Ä(Scene):
    def construct(self):
        print("said", config.frame_rate, config.pixel_width, sys.argv[-2:])
        self.play(Create(Square()), run_time=0.5)
        self.wait()

if __name__ == "__main__":
    with tempconfig({"quality": "low_quality"}):
        Szene_Ä().render()
"""


def write_sound(path: Path, seconds: float = 0.4, rate: int = 8000) -> None:
    path.parent.mkdir()
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        tone = (round(20000 * math.sin(n / rate * 2 * math.pi * 440)) for n in range(int(seconds * rate)))
        file.writeframes(b"".join(struct.pack("<h", value) for value in tone))


@pytest.mark.parametrize(
    ("scene", "options"),
    [
        ("Film", ()),
        ("Space", ()),
        ("Configures", ()),
        ("Picture", ()),
        ("Parts", ("-n", "1,2")),
        ("Frames", ("--format", "gif")),
        ("Frames", ("--format", "mov", "--transparent")),
        ("Frames", ("--renderer", "opengl")),
    ],
)
def test_a_kind_of_scene(scene: str, options: tuple[str, ...], open_project: OpenProject) -> None:
    project = open_project("kinds")
    write_sound(project.folder / "sounds" / "a beep.wav")
    want, _ = project.compare("scene.py", scene, *options)
    assert want.exit_code == 0
    assert want.files


def test_a_file_that_configures_manim_in_a_folder_with_blanks(make_project: MakeProject) -> None:
    project = make_project({"mein Film/Szene 1 ü.py": CONFIGURED})
    want, _ = project.compare("Szene 1 ü.py", "Szene_Ä", cwd="mein Film", small=False)
    assert want.said == ["said 8 120 ['Szene 1 ü.py', 'Szene_Ä']"]
    assert set(want.files) == {"Szene_Ä.mp4"}
