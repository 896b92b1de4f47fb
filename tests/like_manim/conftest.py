from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.commands import BIN, environment

PROJECTS = Path(__file__).parent / "scenes"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Run:
    """How a render went: ``files`` are the outputs by path, ``said`` the lines that the user's code printed."""

    exit_code: int
    seconds: float
    files: dict[str, Path]
    said: list[str]
    result: dict[str, Any]


@dataclass(frozen=True)
class Project:
    """A copy of one of the projects, rendered by plain Manim or Python, and by renderer."""

    folder: Path
    env: dict[str, str]

    def run_plain(self, file: str, scene: str | None) -> Run:
        """Run `manim render FILE SCENE`, or `python FILE`."""
        made = self.folder.parent / f"plain-{scene or file}"
        made.mkdir()
        media = ["--media_dir", str(made / "media"), "-r", "160,90", "--fps", "10"]
        command = [str(BIN / "manim"), "render", *media, file, scene] if scene else [sys.executable, file]
        code, seconds, log = self._run(command, RENDERER_OUTPUT_DIR=str(made))
        files = {
            path.name: path for path in made.rglob("*") if path.is_file() and "partial_movie_files" not in path.parts
        }
        return Run(code, seconds, files, _select_said(log), {})

    def submit(self, file: str, scene: str | None, **more: str) -> Run:
        """Run `renderer submit FILE SCENE`."""
        made = self.folder.parent / f"made-{time.monotonic_ns()}"
        small = ["--resolution", "160x90", "--fps", "10"] if scene else []
        command = [str(BIN / "renderer"), "submit", file, *([scene] if scene else []), *small, "--json"]
        code, seconds, _ = self._run([*command, "--timeout", f"{TIMEOUT_S:g}s", "--output", str(made)], **more)
        state = Path({**self.env, **more}["RENDERER_LOCAL_STATE_DIR"])
        result = max(state.rglob("result.json"), key=os.path.getmtime)  # of the last job
        said = _select_said(result.with_name("log.txt").read_text())
        files = {path.name: path for path in made.rglob("*") if path.is_file() and not path.name.startswith(".")}
        return Run(code, seconds, files, said, json.loads(result.read_text()))

    def _run(self, command: list[str], **more: str) -> tuple[int, float, str]:
        started = time.monotonic()
        log = self.folder.parent / f"log-{time.monotonic_ns()}"
        with log.open("wb") as file:  # not a pipe, which a process that is left behind would hold open
            done = subprocess.run(
                command, cwd=self.folder, env={**self.env, **more}, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, check=False, timeout=2 * TIMEOUT_S,
            )  # fmt: skip
        return done.returncode, time.monotonic() - started, log.read_text()


def _select_said(log: str) -> list[str]:
    return sorted(line for line in log.splitlines() if line.startswith("said"))


OpenProject = Callable[[str], Project]


@pytest.fixture
def open_project(tmp_path: Path) -> OpenProject:
    def copy(name: str) -> Project:
        shutil.copytree(PROJECTS / name, tmp_path / name)
        (tmp_path / "home").mkdir()
        env = environment(tmp_path / "home", RENDERER_LOCAL_STATE_DIR=str(tmp_path / "state"))
        return Project(tmp_path / name, env)

    return copy
