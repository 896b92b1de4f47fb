"""The command line, called as a function, and the worker that it starts early."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.processes import alive, until

from backends.local.early.supervisor import EarlyWorker

SCENE = """import os
import helper
from manim import Scene, Dot
class Still(Scene):
    def construct(self):
        print("greeting", os.environ.get("GREETING"), "in", os.environ["TMPDIR"])
        self.add(Dot())
"""
HAS_CORES = len(os.sched_getaffinity(0)) > 1
Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = """
import sys
from backends.local.early import command as early
early.start()
print(early._started[0].process.pid, flush=True)
sys.stdin.read()
early.discard()
"""


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


def read(home: Path, job: str, name: str) -> str:
    (folder,) = home.rglob(job)
    return (folder / name).read_text()


def test_a_worker_is_started_early_unless_the_job_has_variables_of_its_own(run: Run, project: Path, home: Path) -> None:
    (project / "a still.py").write_text(SCENE)
    (project / "pyproject.toml").write_text('[build-system]\nbuild-backend = "hatchling.build"\n')
    (project.parent / "library").mkdir()
    (project.parent / "library" / "helper.py").touch()
    for option, is_early, greeting in (("--poster", HAS_CORES, "None"), ("--env=GREETING=hello", False, "hello")):
        done = run(
            "submit", "a still.py", "-q", "l", option, "--overwrite", RENDERER_LOG="debug", PYTHONPATH="../library"
        )
        assert done.returncode == 0, done.stderr
        job = done.stderr.partition("submitted local://")[2].split()[0]
        assert ("was started early" in read(home, job, "supervisor.log")) == is_early
        log = read(home, job, "work/units/0/log.txt")
        assert f"greeting {greeting} in " in log
        temporary = log.partition(f"greeting {greeting} in ")[2].splitlines()[0]
        assert Path(temporary).parent.name.startswith("r-"), "the job's own folder must be used"


@pytest.mark.parametrize("ends", ["by itself", "killed"])
def test_nothing_stays_of_a_command_that_submits_no_job(ends: str) -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        assert command.stdout
        assert command.stdin
        supervisor = psutil.Process(int(command.stdout.readline()))
        until(lambda: len(supervisor.children()) == 1)
        (worker,) = supervisor.children()
        command.kill() if ends == "killed" else command.stdin.close()
        until(lambda: not alive(supervisor.pid) and not alive(worker.pid))


def test_an_early_worker_that_does_not_fit_is_ended() -> None:
    for variables in ({}, {"OMP_NUM_THREADS": "3"}):
        worker = EarlyWorker()
        process = worker.process
        if not variables:
            process.kill()
            process.wait()
        assert worker.begin(["--help"], {**worker.environment, **variables}) is None
        assert not alive(process.pid)
