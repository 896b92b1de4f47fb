"""Scenes on this machine: TeX errors, killed scenes, what a scene leaves for its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import Run
from support.commands import SMALL, output

from backends.exit_codes import ExitCode

FORMULA = "from manim import *\nclass Formula(Scene):\n    def construct(self):\n        self.add(MathTex(r'{}'))\n"


@pytest.mark.parametrize(
    ("formula", "path", "message"),
    [
        (r"\frac{1}{2} \nosuchmacro", None, "TeX cannot typeset a formula: Undefined control sequence at"),
        ("x", "/nowhere", "needs TeX, and the program 'latex' is not installed"),
    ],
)
def test_a_tex_error_names_the_users_line(
    formula: str, path: str | None, message: str, project: Path, run: Run
) -> None:
    (project / "formula.py").write_text(FORMULA.replace("{}", formula, 1))
    done = run("submit", "formula.py", *SMALL, **({"PATH": path} if path else {}))
    assert done.returncode == ExitCode.USER_CODE
    assert message in done.stderr
    assert "formula.py:4 in construct" in done.stderr


def test_a_killed_scene_fails_and_the_other_one_succeeds(project: Path, run: Run) -> None:
    (project / "two.py").write_text(
        "import os, signal\nfrom manim import *\n"
        "class Good(Scene):\n    def construct(self):\n        self.play(Create(Dot()), run_time=0.2)\n"
        "class Killed(Scene):\n    def construct(self):\n        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = run("submit", "two.py", "--all", "--json", *SMALL)
    assert done.returncode == ExitCode.LOST
    assert [unit["state"] for unit in output(done)["units"]] == ["succeeded", "failed"]
    assert "Killed was ended by SIGKILL" in output(done)["units"][1]["message"]
    assert [Path(path).name for path in output(done)["outputs"]] == ["Good.mp4"]


LEAVES = """\
import atexit, multiprocessing, os
from manim import *


def serve(pipe):
    while True:
        pipe.send(2 * pipe.recv())


class Leaves(Scene):
    def construct(self):
        mine, its = multiprocessing.Pipe()
        multiprocessing.Process(target=serve, args=(its,), daemon=True).start()
        mine.send(0.5)
        atexit.register(print, "at the end")
        self.notes = open(os.path.join(os.environ["RENDERER_OUTPUT_DIR"], "notes.txt"), "w")
        self.notes.write("a note")
        self.play(Create(Circle(mine.recv())), run_time=0.2)
        {}
        print("after")
"""


@pytest.mark.parametrize("look", ["pass", "self.camera.pixel_array.mean()"], ids=["parallel", "serial"])
def test_what_a_scene_registered_for_the_end_runs(look: str, project: Path, run: Run) -> None:
    (project / "leaves.py").write_text(LEAVES.replace("{}", look))
    (project / "manim.cfg").write_text("[CLI]\nverbosity = WARNING\n")
    done = run("submit", "leaves.py", "--json", *SMALL, PYTHONUNBUFFERED="")
    assert done.returncode == 0, done.stdout
    outputs = {Path(path).name: Path(path) for path in output(done)["outputs"]}
    assert set(outputs) == {"Leaves.mp4", "notes.txt"}
    assert outputs["notes.txt"].read_text() == "a note"
    lines = run("logs", output(done)["handle"]).stdout.splitlines()
    assert (lines.count("after"), lines.count("at the end")) == (1, 1), lines
