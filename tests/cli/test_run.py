"""The command line, called as a function."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def call(project: Path, env: dict[str, str], arguments: list[str], *of_the_process: str) -> list[str]:
    """Return what `run(arguments)` prints in a process that has arguments of its own."""
    code = f"import sys; from renderer.cli import run; sys.exit(run({arguments!r}))"
    command = [sys.executable, "-c", code, *of_the_process]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("of_the_process", [(), ("--", "a", "b"), ("x", "--", "y")])
def test_a_scripts_arguments_come_from_the_call(
    of_the_process: tuple[str, ...], project: Path, env: dict[str, str]
) -> None:
    (project / "show.py").write_text(
        "import os, sys\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/' + '+'.join(sys.argv[1:]), 'w')\n"
    )
    arguments = ["submit", "show.py", "--", "one", "--two"]
    assert call(project, env, arguments, *of_the_process) == ["renders/one+--two"]
    assert call(project, env, ["submit", "--", "show.py", "three"], *of_the_process) == ["renders/three"]


def test_the_overview_needs_no_arguments(project: Path, env: dict[str, str]) -> None:
    assert call(project, env, [], "submit") == call(project, env, ["--help"])


def test_the_package_lists_its_public_names() -> None:
    import renderer

    assert dir(renderer) == sorted(renderer.__all__)
