"""Functions of the engine that replace Manim's, and are quicker, return exactly the same."""

from __future__ import annotations

import subprocess
import sys

import pytest
from engine.renders import ENVIRONMENT, PROGRAMS


@pytest.mark.parametrize("program", ["compare_patches", "compare_lean_import"])
def test_quicker_functions_return_the_same(program: str) -> None:
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / f"{program}.py")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
