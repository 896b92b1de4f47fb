"""Formulas are typeset once on a machine, and wherever the user keeps jobs; their errors are explained."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from like_manim.conftest import OpenProject
from like_manim.harness import Project

from renderer.system.limits import count_usable_cores

pytestmark = pytest.mark.slow


def put_before_latex(project: Project, commands: str) -> None:
    """Have the project's latex run shell commands first."""
    programs = project.folder.parent / "programs"
    programs.mkdir()
    latex = programs / "latex"
    latex.write_text(f'#!/bin/sh\n{commands}\nexec "{shutil.which("latex")}" "$@"\n')
    latex.chmod(0o755)
    project.env["PATH"] = f"{programs}:{os.environ['PATH']}"


def count_latex(project: Project) -> Path:
    """Have the project's latex count its runs, as bytes of the file returned."""
    runs = project.folder.parent / "runs"
    put_before_latex(project, f'printf x >>"{runs}"')
    return runs


def test_a_formula_is_typeset_again_only_when_it_changed(open_project: OpenProject) -> None:
    project = open_project("tex")
    runs = count_latex(project)
    cold, warm = (project.submit("scene.py", "Formula") for _ in range(2))
    assert cold.exit_code == warm.exit_code == 0
    assert runs.stat().st_size == 1
    assert cold.files["Formula.mp4"].read_bytes() == warm.files["Formula.mp4"].read_bytes()
    (project.folder / "macros.tex").write_text(r"\newcommand{\house}[1]{\sqrt{#1}}")
    changed = project.submit("scene.py", "Formula")
    assert runs.stat().st_size == 2
    assert changed.files["Formula.mp4"].read_bytes() != warm.files["Formula.mp4"].read_bytes()
    for path in (project.folder.parent / "home" / "cache").rglob("*"):
        if path.is_file() and path.stat().st_size > 100:
            path.write_bytes(path.read_bytes()[:-1] + b"?")  # damaged
    assert project.submit("scene.py", "Formula").exit_code == 0
    assert runs.stat().st_size == 3


@pytest.mark.skipif(count_usable_cores() == 1, reason="needs two cores")
def test_formulas_in_the_text_are_typeset_side_by_side(open_project: OpenProject) -> None:
    project = open_project("tex")
    pipe = project.folder.parent / "pipe"
    os.mkfifo(pipe)
    put_before_latex(  # the first run waits for the second one
        project,
        f'if mkdir "{pipe}.first"; then read x <"{pipe}"; elif mkdir "{pipe}.second"; then echo x >"{pipe}"; fi',
    )
    text = "from manim import *\nclass Two(Scene):\n    def construct(self):\n        self.play(Write(Tex('a')))\n"
    (project.folder / "two.py").write_text(f"{text}        self.play(Write(Tex('b')))\n")
    found = project.submit("two.py", "Two", "--timeout", "120s")
    assert found.exit_code == 0, found.result


@pytest.mark.parametrize("name", ["state ~1%'s", ".hidden"])
def test_a_state_folder_with_characters_that_tex_takes_for_its_own(name: str, open_project: OpenProject) -> None:
    project = open_project("tex")
    state = project.folder.parent / name
    found = project.submit("scene.py", "Formula", RENDERER_LOCAL_STATE_DIR=str(state))
    assert found.exit_code == 0, found.result
    assert "Formula.mp4" in found.files


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        ("Tex('100% sure')", "a comment begins at the % in “100%”", r"write \% for a percent sign"),
        ("Tex('you & me')", "Misplaced alignment tab character & at “you &”", r"write \& for an ampersand"),
        (r"MathTex(r'x + \nosuch{y}')", r"Undefined control sequence at “x + \nosuch”", "check the spelling"),
        ("Tex('a 中 b')", "Unicode character 中 (U+4E2D) not set up for use with LaTeX at “a 中”", "use Text, or a"),
        ("Tex(input())", "calls input(), and a job has no terminal", "remove the call"),
        ("breakpoint()", "calls breakpoint(), and a job has no terminal", "remove the call"),
        ("self.interactive_embed()", "calls interactive_embed(), and a job has no terminal", "remove the call"),
    ],
)
def test_an_error_is_explained(call: str, message: str, hint: str, open_project: OpenProject) -> None:
    project = open_project("tex")
    text = f"from manim import *\nclass Wrong(Scene):\n    def construct(self):\n        {call}\n"
    (project.folder / "wrong.py").write_text(text)
    error = project.submit("wrong.py", "Wrong").result["error"]
    assert message in error["message"]
    assert error["hint"].startswith(hint)
    assert f"wrong.py:4 in construct: {call}" in error["details"]
