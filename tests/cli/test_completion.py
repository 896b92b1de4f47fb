"""Shell completion: what a TAB offers, and the scripts that shells load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Run
from support.commands import BIN

from renderer.cli import COMMANDS

NAMES = {name for commands in COMMANDS.values() for name in commands}


def complete(run: Run, line: str) -> list[str]:
    """Return what bash is offered for the last word of the line."""
    words = line.split(" ")
    done = run(_RENDERER_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("renderer sub", {"submit"}),
        ("renderer s", {"submit", "scenes", "serve", "status", "setup"}),
        ("renderer submit --backend ", {"local", "docker", "k8s", "modal"}),
        ("renderer list -b k", {"k8s"}),
        ("renderer submit x.py --quality ", {"l", "m", "h", "p", "k"}),
        ("renderer submit --encoder nv", {"nvenc"}),
        ("renderer submit --encoder-preset ", {"fast", "manim"}),
        ("renderer submit --image-pull-p", {"--image-pull-policy"}),
        ("renderer status --verb", {"--verbose"}),
        ("renderer image ", {"build", "push", "tag", "lint"}),
        ("renderer doctor --backend m", {"modal"}),
        ("renderer serve t", {"token"}),
        ("renderer serve --p", {"--port"}),
        ("renderer serve token ", {"create", "list", "revoke"}),
        ("renderer serve token create --tr", {"--trusted"}),
        ("renderer --install", {"--install-completion"}),
    ],
)
def test_a_tab_completes_the_word(line: str, offered: set[str], run: Run) -> None:
    assert set(complete(run, line)) == offered


def test_a_tab_offers_every_command(run: Run) -> None:
    assert set(complete(run, "renderer ")) == NAMES


def test_a_tab_offers_the_jobs_of_this_machine(project: Path, run: Run) -> None:
    (project / "quick.py").write_text("pass\n")
    handle = run("submit", "--detach", "quick.py").stdout.strip()
    run("wait", handle)
    name = handle.removeprefix("local://")  # a `:` would begin another word in bash
    assert complete(run, "renderer status qui") == [name]
    assert complete(run, "renderer status //qui") == [f"//{name}"]
    assert complete(run, "renderer status local://q") == [handle]  # as in zsh and fish
    assert run("status", name).returncode == 0


def test_a_tab_offers_the_scenes_of_the_file(project: Path, run: Run) -> None:
    scenes = "from manim import *\nclass Opening(Scene): pass\nclass Outro(Scene): pass\nclass Tool: pass\n"
    (project / "scene.py").write_text(scenes)
    assert complete(run, "renderer submit scene.py O") == ["Opening", "Outro"]
    assert complete(run, "renderer submit -ql scene.py Opening O") == ["Outro"]
    assert complete(run, "renderer submit nope.py O") == []


def test_a_broken_configuration_offers_nothing_and_prints_nothing(project: Path, run: Run) -> None:
    (project / "renderer.toml").write_text("nonsense = ")
    assert complete(run, "renderer status ") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_same(shell: str, run: Run) -> None:
    variables = {"_TYPER_COMPLETE_ARGS": "renderer sub", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = run(_RENDERER_COMPLETE=f"complete_{shell}", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert "submit" in done.stdout
    assert COMMANDS["Render"]["submit"] in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str, tmp_path: Path, home: Path, project: Path, env: dict[str, str]) -> None:
    program = tmp_path / shell  # what it is called is what counts: the shell is found among the parents
    shutil.copy(str(shutil.which("bash")), program)
    script = f"'{BIN / 'renderer'}' --show-completion; '{BIN / 'renderer'}' --install-completion; true"
    done = subprocess.run([program, "-c", script], cwd=project, env=env, capture_output=True, text=True, check=True)
    assert f"_RENDERER_COMPLETE=complete_{shell}" in done.stdout
    assert f"{shell} completion installed in {home}" in done.stdout.replace("\n", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_installed_script(project: Path, env: dict[str, str]) -> None:
    script = (
        f"'{BIN / 'renderer'}' --install-completion\nsource ~/.bashrc\nCOMP_WORDS=(renderer man)\nCOMP_CWORD=1\n"
        '_renderer_completion renderer\necho "${COMPREPLY[@]}"\n'
    )
    path = {"PATH": f"{BIN}{os.pathsep}{env['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=project, env={**env, **path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "manifest"


def test_completing_a_command_imports_no_backend_and_no_settings(project: Path, env: dict[str, str]) -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('LOADED', *sorted({'rich', 'renderer.settings', 'manim'} & set(sys.modules))))\n"
        "from renderer.cli import main\nmain()"
    )
    variables = {"_RENDERER_COMPLETE": "complete_bash", "COMP_WORDS": "renderer sub", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env={**env, **variables}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["submit", "LOADED"]


def test_commands_below_a_command_have_their_own_help_and_errors(run: Run) -> None:
    wide = {"COLUMNS": "120"}
    assert "Usage: renderer serve [OPTIONS] [token …]" in run("serve", "--help", **wide).stdout
    shown = run("serve", "token", "create", "--help", **wide).stdout
    assert "Usage: renderer serve token create [OPTIONS]" in shown
    assert "--port" not in shown
    for words, message, hint in [
        ([], "write what to do", "renderer serve token has the commands create, list, revoke"),
        (["creat"], "there is no command 'creat'", "did you mean `renderer serve token create`?"),
        (["create"], "--name is missing", "add --name NAME (Who gets the token)"),
        (["revoke"], "ID is missing", "add ID (The token's id)"),
    ]:
        done = run("serve", "token", *words)
        assert (done.returncode, done.stderr) == (2, f"renderer: {message}\n  → {hint}\n")
