"""RENDERER_LOG and --verbose: what happens, on stderr and in the job's log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cli.conftest import Run
from support.commands import SMALL, output

from backends.exit_codes import ExitCode

LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (backends|renderer)[\w.]*: .+")


def log_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if LINE.fullmatch(line)]


@pytest.fixture
def script(project: Path) -> str:
    (project / "renderer.toml").write_text("retries = 1\n")
    (project / "key.pem").write_text("secret")
    (project / "old.log").write_text("x")
    (project / ".gitignore").write_text("*.log\n")
    (project / "hello.py").write_text("print('hello')\n")
    return "hello.py"


@pytest.mark.parametrize("how", ["--verbose", "RENDERER_LOG"])
def test_debug_prints_each_decision(how: str, script: str, project: Path, run: Run) -> None:
    flags, variables = (["--verbose"], {}) if how == "--verbose" else ([], {"RENDERER_LOG": "debug"})
    done = run("submit", script, "--json", *flags, **variables)
    assert output(done)["state"] == "succeeded"
    lines = "\n".join(log_lines(done.stderr))
    assert f"read the configuration file {project / 'renderer.toml'}" in lines
    assert f"setting retries comes from {project / 'renderer.toml'}" in lines
    assert "left out key.pem: it looks like a credential" in lines
    assert "left out old.log: .gitignore line 1 '*.log'" in lines
    assert "included hello.py" in lines
    assert re.search(r"submit of hello took \d+\.\d{3} s", lines)


def test_the_level_reaches_the_jobs_log(project: Path, run: Run) -> None:
    (project / "scene.py").write_text(
        "from manim import *\nclass A(Scene):\n    def construct(self):\n        self.play(Create(Dot()))\n"
    )
    logs = []
    for flags in ([], ["--verbose"]):
        handle = output(run("submit", "scene.py", "--json", *SMALL, *flags))["handle"]
        logs.append(log_lines(run("logs", handle).stdout))
    assert logs[0] == []
    assert any(" renderer.engine." in line for line in logs[1])


def test_nothing_is_printed_otherwise(script: str, run: Run) -> None:
    done = run("submit", script)
    assert done.returncode == 0
    assert log_lines(done.stderr) == []


def test_info_prints_less_than_debug(script: str, run: Run) -> None:
    assert log_lines(run("submit", script, RENDERER_LOG="info").stderr) == []


def test_another_level_is_refused(run: Run) -> None:
    done = run("list", RENDERER_LOG="loud")
    assert done.returncode == ExitCode.USAGE
    assert "RENDERER_LOG cannot be 'loud'" in done.stderr
    assert "RENDERER_LOG=debug" in done.stderr


def test_every_command_has_the_options_of_all(run: Run) -> None:
    for command in ("submit", "scenes", "list", "fetch", "gpus", "image", "config"):
        text = run(command, "--help").stdout
        assert "--verbose" in text
        assert "--debug" in text
