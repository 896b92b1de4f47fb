"""Functions of the engine that replace Manim's, and are quicker, return exactly the same."""

from __future__ import annotations

import subprocess
import sys

from engine.renders import ENVIRONMENT, PROGRAMS


def test_quicker_functions_return_the_same() -> None:
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / "compare_patches.py")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
