"""A scene or script that leaves processes, threads and the like ends as in plain Manim or Python."""

from __future__ import annotations

import re

import pytest
from like_manim.conftest import OpenProject
from like_manim.harness import Run

pytestmark = pytest.mark.slow
SLOWER_S = 150.0  # than plain Manim, at most: a scene that hangs takes 300 s


def name_files(run: Run) -> set[str]:
    """Return the names of a run's files, without the numbers of processes, and without Manim's own videos."""
    return {re.sub(r"_\d+", "_N", name) for name in run.files if name.endswith(".txt")}


@pytest.mark.parametrize("scene", ["Pools", "Spawned", "Threads", "Functions", "Fails", "Forks", "Early"])
def test_a_scene_that_leaves_something_running(scene: str, open_project: OpenProject) -> None:
    project = open_project("ends")
    before = {path.name for path in project.folder.iterdir()} | {"__pycache__"}
    plain, found = project.run_plain("scene.py", scene), project.submit("scene.py", scene)
    assert bool(found.exit_code) == bool(plain.exit_code) == (scene == "Fails")
    assert found.seconds < plain.seconds + SLOWER_S
    assert name_files(found) == name_files(plain) or scene == "Fails"  # outputs of a failed job stay in its folder
    assert found.said == plain.said
    assert sum(path.suffix == ".txt" for path in found.files.values()) <= len(name_files(plain))
    assert {path.name for path in project.folder.iterdir()} <= before
    if "begun.txt" in found.files:
        assert found.files["begun.txt"].read_text() == "once\n"


def test_a_script_that_leaves_something_running(open_project: OpenProject) -> None:
    project = open_project("ends")
    plain, found = project.run_plain("script.py", None), project.submit("script.py", None)
    assert found.exit_code == plain.exit_code == 0
    assert name_files(found) == name_files(plain) == {"late.txt"}
    assert found.said == plain.said
