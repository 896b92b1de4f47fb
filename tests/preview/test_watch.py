"""`renderer watch`, as users see it: renders on save, shows what changed first, and leaves nothing."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.commands import BIN, SMALL, environment, renderer
from support.processes import alive, until
from support.video import frames

SCENE = """
from manim import *
from colors import COLOR

class Film(Scene):
    def construct(self):
        for number in range(4):
            square = Square(color=COLOR if number == 2 else WHITE).shift(RIGHT * number)
            self.play(Create(square), run_time=0.5)
            self.remove(square)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    return folder


@pytest.fixture
def watch(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    (project / "scene.py").write_text(SCENE)
    (project / "colors.py").write_text("COLOR = 'RED'\n")
    env = environment(project.parent / "home", TMPDIR=str(project.parent / "temporary"))
    command = [str(BIN / "renderer"), "watch", "scene.py", "Film", *SMALL, "-p", "--preview_command", "true"]
    with (project / "out").open("w") as out, (project / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=project, env=env, stdout=out, stderr=err)
    yield process
    process.kill()
    process.wait()


def save(path: Path, text: str) -> None:
    """Write a file as editors do: at every moment it has the old text or the new one."""
    new = path.parent.parent / "being saved"
    new.write_text(text)
    new.rename(path)


def wait_for(project: Path, text: str, count: int = 1) -> None:
    until(lambda: (project / "err").read_text().count(text) >= count)


def lines(project: Path) -> list[str]:
    return (project / "out").read_text().splitlines()


@pytest.mark.slow
def test_renders_what_changed_and_shows_it_first(project: Path, watch: subprocess.Popen[bytes]) -> None:
    wait_for(project, "frames drawn")
    assert lines(project) == ["renders/Film.mp4"]
    assert "20 of 20 frames drawn" in (project / "err").read_text()
    assert (project / "err").read_text().count(
        "rendering Film"
    ) == 1  # what it prints lies in the project and is no change
    before = frames(project / "renders" / "Film.mp4")

    save(project / "colors.py", "COLOR = 'GREEN'\n")  # a module that the scene imports
    wait_for(project, "frames drawn", 2)
    assert lines(project)[1:] == ["renders/Film.changed.mp4", "renders/Film.mp4"]
    assert "5 of 20 frames drawn" in (project / "err").read_text()
    after = frames(project / "renders" / "Film.mp4")
    equal = [one == other for one, other in zip(before, after, strict=True)]
    assert (all(equal[:10]), all(equal[10:15]), all(equal[15:])) == (True, False, True)
    assert len(frames(project / "renders" / "Film.changed.mp4")) == 5

    save(project / "scene.py", SCENE + "\n    def broken(:\n")  # an error is said in words
    wait_for(project, "waiting for the next change")
    assert "scene.py, line 12: invalid syntax" in (project / "err").read_text()
    save(project / "scene.py", SCENE + "\n        1 / 0\n")
    wait_for(project, "waiting for the next change", 2)
    assert "raised ZeroDivisionError" in (project / "err").read_text()

    started = (project / "err").read_text().count("rendering Film")
    save(project / "scene.py", SCENE + "\n        while True: pass\n")  # a save during a render restarts it
    wait_for(project, "rendering Film", started + 1)
    save(project / "scene.py", SCENE)
    wait_for(project, "Film: 0 of 20 frames drawn")

    children = psutil.Process(watch.pid).children(recursive=True)
    assert children
    watch.send_signal(signal.SIGINT)
    assert watch.wait(600) == 0
    psutil.wait_procs(children, timeout=600)
    assert not [child for child in children if alive(child.pid)]
    assert list((project.parent / "temporary").iterdir()) == []
    assert sorted(path.name for path in (project / "renders").iterdir()) == [
        ".rendererignore",
        "Film.changed.mp4",
        "Film.mp4",
    ]


def test_nothing_is_left_when_the_command_is_killed(project: Path, watch: subprocess.Popen[bytes]) -> None:
    wait_for(project, "rendering Film")
    save(project / "scene.py", SCENE + "\n        while True: pass\n")
    wait_for(project, "rendering Film", 2)
    children = psutil.Process(watch.pid).children(recursive=True)
    watch.kill()
    until(lambda: not any(alive(child.pid) for child in children))


def test_what_cannot_be_watched_is_refused(project: Path) -> None:
    (project / "scene.py").write_text(SCENE)

    def refuse(*arguments: str) -> str:
        done = renderer("watch", *arguments, cwd=project, env=environment(project.parent / "home"))
        assert done.returncode == 2
        return done.stderr.splitlines()[0]

    assert refuse("scene.py", "--backend", "modal") == (
        "renderer: renderer watch renders on this machine only, and the backend is modal"
    )
    assert refuse("scene.py", "--untrusted").startswith("renderer: renderer watch does not run untrusted code")
    assert refuse("none.py") == "renderer: there is no file none.py"
