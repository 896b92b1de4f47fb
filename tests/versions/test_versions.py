"""Another Manim than that of the engine renders by itself, and plugins render as in plain Manim."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from like_manim.harness import Project, assert_nearly_equal, read_output

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
OpenProject = Callable[[str], Project]


@cache
def install(name: str) -> Path:
    """Return the programs of an environment of its own. The first time it takes some minutes."""
    done = subprocess.run([ROOT / "scripts" / "manim-venv", name], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot install {name}: {done.stderr}")
    return Path(done.stdout.strip()) / "bin"


@pytest.fixture
def open_project(tmp_path: Path) -> OpenProject:
    def copy(name: str) -> Project:
        programs = install(name)
        found = Project.copy(Path(__file__).parent / "scenes" / name, tmp_path)
        return replace(found, bin=programs, exact=name == "plugins")

    return copy


def test_an_old_manim_renders_by_itself(open_project: OpenProject) -> None:
    project = open_project("old")
    want, found = project.compare("scene.py", "Values", "--save_sections")
    assert want.exit_code == 0
    assert found.result["render"]["mode"] == "serial"
    assert "Manim 0.18.0" in found.result["render"]["why_serial"]
    assert "Values was rendered serially: this is Manim 0.18.0" in found.log
    assert found.result["versions"]["manim"] == "0.18.0"
    wrong = project.submit("scene.py", "Wrong").result["error"]
    assert r"TeX cannot typeset a formula: Undefined control sequence at “\nosuch”" in wrong["message"]
    doctor = subprocess.run([project.bin / "renderer", "doctor"], capture_output=True, text=True, check=False)
    assert "scenes are rendered serially: this is Manim 0.18.0" in doctor.stdout


@pytest.mark.parametrize("scene", ["Voice", "Falls"])
def test_a_plugin(scene: str, open_project: OpenProject) -> None:
    want, found = open_project("plugins").compare("scene.py", scene)
    assert want.exit_code == 0, want.log
    assert found.result["render"]["mode"] == "parallel" or scene == "Voice"  # which writes files as it plays


def test_a_voice_is_bought_once_by_machines_that_share_a_cache(open_project: OpenProject, tmp_path: Path) -> None:
    project, bought, films = open_project("plugins"), tmp_path / "bought", []
    first_key = tmp_path / "one" / "STATE" / "manim-renderer" / "shared-cache.key"
    for machine in ("one", "two"):
        folders = {f"XDG_{kind}_HOME": str(tmp_path / machine / kind) for kind in ("STATE", "CACHE")}
        project = replace(project, env={**project.env, **folders})
        if machine == "two":
            key = tmp_path / machine / first_key.relative_to(tmp_path / "one")
            key.parent.mkdir(mode=0o700, parents=True)
            shutil.copy(first_key, key)
        options = ["--cache", f"file://{tmp_path}/shared", "--env", f"BOUGHT={bought}"]
        run = project.submit("scene.py", "Pays", *options)
        assert run.exit_code == 0, run.log
        films.append(read_output(run.files["Pays.mp4"]))
        assert len([name for name in run.files if name.endswith(".mp3")]) == 2
    assert bought.read_text().splitlines() == ["Two words.", "Three more words."]
    assert films[0] == films[1]


def test_slides(open_project: OpenProject) -> None:
    project = open_project("slides")
    want, found = project.run_plain("scene.py", "Talk"), project.submit("scene.py", "Talk")
    assert want.exit_code == 0, want.log
    assert found.exit_code == 0, found.result
    films = [[path for name, path in sorted(run.files.items()) if name == "Talk.mp4"] for run in (want, found)]
    assert_nearly_equal(films[0][0], films[1][0])
    slides = [sorted(name for name in run.files if name.startswith("slides/")) for run in (want, found)]
    assert len(slides[0]) == len(slides[1]) > 3  # by names that have a hash of a path
