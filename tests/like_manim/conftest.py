from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from like_manim.harness import Project

PROJECTS = Path(__file__).parent / "scenes"
OpenProject = Callable[[str], Project]
MakeProject = Callable[[dict[str, str | bytes]], Project]


@pytest.fixture
def open_project(tmp_path: Path) -> OpenProject:
    """Return a function that copies one of the folders in ``scenes``."""
    return lambda name: Project.copy(PROJECTS / name, tmp_path)


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """Return a function that makes a project of files, given by path and content."""
    return lambda files: Project.make(files, tmp_path)
