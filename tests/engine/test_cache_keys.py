"""The keys by which Manim finds a play again are the same when they are computed in less time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from engine import rig


@pytest.mark.parametrize("name", ["basics", "updaters", "cameras"])
def test_keys_are_manims(name: str, tmp_path: Path) -> None:
    folder = rig.project(tmp_path / "project", rig.SCENES / f"{name}.py")
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("cache_keys.py")), f"{name}.py"]
    command += rig.scene_names(rig.SCENES / f"{name}.py")

    def keys(*options: str) -> list[str]:
        done = subprocess.run([*command, *options], cwd=folder, env=rig.ENVIRONMENT, capture_output=True, check=True)
        return done.stdout.decode().splitlines()

    found = keys("--quick")
    assert len(found) == len(rig.scene_names(rig.SCENES / f"{name}.py"))
    assert len("".join(found)) > 64 * len(found)
    assert found == keys()
