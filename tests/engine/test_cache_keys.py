"""The quicker functions compute the same cache keys of plays as Manim's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from engine.renders import ENVIRONMENT, PROGRAMS, SCENES, copy_project, scene_names


@pytest.mark.parametrize("name", ["basics", "updaters", "cameras"])
def test_keys_are_manims(name: str, tmp_path: Path) -> None:
    folder = copy_project(tmp_path / "project", SCENES / f"{name}.py")
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / "print_manim_keys.py"), f"{name}.py"]
    command += scene_names(SCENES / f"{name}.py")

    def keys(*options: str) -> list[str]:
        done = subprocess.run([*command, *options], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
        return done.stdout.decode().splitlines()

    found = keys("--quick")
    assert len(found) == len(scene_names(SCENES / f"{name}.py"))
    assert len("".join(found)) > 64 * len(found)
    assert found == keys()
