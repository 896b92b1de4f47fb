"""The tests that depend on Python's version pass on the newest one that Manim supports, too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_newest_python() -> None:
    found = subprocess.run([ROOT / "scripts" / "newest-python"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    done = subprocess.run(["make", "-s", "test-newest"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
