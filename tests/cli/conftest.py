from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import environment, renderer
from support.disks import mount_small_disk

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return environment(home)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    return folder


@pytest.fixture
def run(project: Path, env: dict[str, str]) -> Run:
    def run_in_project(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return renderer(*arguments, cwd=project, env={**env, **more})

    return run_in_project


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of a file system of 2 MiB."""
    with mount_small_disk(tmp_path / "small", "2m") as folder:
        yield folder
