"""A project, and the command line in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import environment, renderer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The empty folder of a project."""
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Run:
    """Run `renderer` in the project."""
    return lambda *arguments: renderer(*arguments, cwd=project, env=environment(tmp_path / "home"))
