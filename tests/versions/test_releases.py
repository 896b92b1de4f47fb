"""All releases of Manim that are promised, each in an environment of its own, if MANIM_RELEASES has their names."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from like_manim.harness import Project

ROOT = Path(__file__).parents[2]
SCENE = """
from manim import *

class Hello(Scene):
    def construct(self):
        text = Text("hello")
        self.play(Write(text), run_time=0.5)
        self.play(Transform(text, MathTex(r"\\frac{a}{b}")), run_time=0.5)
"""


RELEASES = os.environ.get("MANIM_RELEASES", "").split()


@pytest.mark.slow
@pytest.mark.skipif(not RELEASES, reason="MANIM_RELEASES names none")
@pytest.mark.parametrize("version", RELEASES or ["none"])
def test_a_release(version: str, tmp_path: Path) -> None:
    command = [str(ROOT / "scripts" / "manim-venv"), version, f"manim=={version}", "setuptools<81", "pillow<13"]
    programs = Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()) / "bin"
    project = replace(Project.make({"scene.py": SCENE}, tmp_path), bin=programs, exact=False)
    want, found = project.compare("scene.py", "Hello")
    assert want.exit_code == 0
    assert found.result["render"]["mode"] == ("parallel" if version == "0.22.0" else "serial")
