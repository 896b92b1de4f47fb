"""Scenes on this machine: what is said when TeX is not there, or does not understand."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import Run
from support import SMALL, output

from backends.exit_codes import ExitCode

FORMULA = "from manim import *\nclass Formula(Scene):\n    def construct(self):\n        self.add(MathTex(r'{}'))\n"


@pytest.mark.parametrize(
    ("formula", "path", "message"),
    [
        (r"\frac{1}{2} \nosuchmacro", None, "TeX cannot typeset a formula: Undefined control sequence at"),
        ("x", "/nowhere", "needs TeX, and the program 'latex' is not installed"),
    ],
)
def test_tex_that_fails_is_told_with_the_users_own_line(
    formula: str, path: str | None, message: str, project: Path, run: Run
) -> None:
    (project / "formula.py").write_text(FORMULA.replace("{}", formula, 1))
    done = run("submit", "formula.py", *SMALL, **({"PATH": path} if path else {}))
    assert done.returncode == ExitCode.USER_CODE
    assert message in done.stderr
    assert "formula.py:4 in construct" in done.stderr


def test_a_scene_that_is_killed_has_failed_and_its_sibling_comes_back(project: Path, run: Run) -> None:
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
