"""What Manim's users type after `manim render` works after `renderer submit`, or is answered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine.renders import decode_frames
from support.commands import BIN, environment, output, renderer
from support.processes import until

from backends.exit_codes import ExitCode
from renderer.cli.commands import command_group
from renderer.cli.manim_options import OPTIONS

SCENES = """\
import random
from manim import *


class First(Scene):
    def construct(self):
        self.next_section("one")
        for _ in range(3):
            self.play(Create(Dot(random.random() * RIGHT)), run_time=0.2)
        self.next_section("two")
        self.wait(0.2)


class Second(Scene):
    def construct(self):
        self.wait(0.2)
"""


class Habits:
    """A folder with scenes, and the commands that a user types in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a project"
        self.folder.mkdir()
        (folder / "home").mkdir()
        (self.folder / "scene.py").write_text(SCENES)
        (self.folder / "other.cfg").write_text("[CLI]\npixel_width = 160\npixel_height = 90\nframe_rate = 10\n")
        self.env = {**environment(folder / "home"), "DISPLAY": "", "WAYLAND_DISPLAY": ""}

    def submit(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return renderer("submit", *arguments, cwd=self.folder, env={**self.env, **more})

    def plain(self, *arguments: str) -> None:
        command = [str(BIN / "manim"), "render", *arguments]
        subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, check=True)


@pytest.fixture
def habits(tmp_path: Path) -> Habits:
    return Habits(tmp_path)


def names(done: subprocess.CompletedProcess[str]) -> list[str]:
    return sorted(Path(path).name for path in output(done)["outputs"])


def test_every_option_of_manim_has_an_answer() -> None:
    code = (
        "from manim.cli.render.commands import render\n"
        "options = [each for each in render.params if each.param_type_name == 'option']\n"
        "print(*(flag for each in options for flag in (*each.opts, *each.secondary_opts)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    manims = set(done.stdout.split())
    commands: Any = command_group().commands
    for command in ("submit", "manifest", "map"):
        known = {flag for each in commands[command]._load().params for flag in (*each.opts, *each.secondary_opts)}
        assert manims - known == set(), f"renderer {command} has no answer to these options of Manim"


@pytest.mark.slow
def test_a_film_with_a_name_and_sections_is_opened(habits: Habits) -> None:
    programs = habits.folder.parent / "programs"
    programs.mkdir()
    script = f'cp "$1" "{programs}/opening"; mv "{programs}/opening" "{programs}/opened"'
    (programs / "xdg-open").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "xdg-open").chmod(0o755)
    arguments = ("scene.py", "First", "-c", "other.cfg", "--save_sections", "--seed", "3", "-n", "1,2", "-o", "part")
    ours = ("--encoder-preset", "manim", "-v", "WARNING", "--json")
    variables = {"DISPLAY": ":7", "PATH": f"{programs}:{habits.env['PATH']}"}
    done = habits.submit("-pql", *arguments, *ours, **variables)
    assert done.returncode == 0, done.stderr
    assert "part.mp4" in names(done)
    assert "part.json" in names(done)
    exact = (
        "--encoder-option",
        "threads=1",
        "--encoder-option",
        "x264-params=asm=avx2",
    )  # docs/how-to/verify-frames.md
    habits.plain(*arguments, "-ql", "--media_dir", "plain", *exact)
    (film,) = habits.folder.glob("plain/videos/**/part.mp4")
    assert decode_frames(habits.folder / "renders" / "part.mp4") == decode_frames(film)
    until((programs / "opened").exists)
    assert (programs / "opened").read_bytes() == (habits.folder / "renders" / "part.mp4").read_bytes()


@pytest.mark.slow
def test_the_last_picture_and_letters_written_together(habits: Habits) -> None:
    done = habits.submit("-psqm", "scene.py", "Second", "-o", "pictures/", "--progress_bar", "none")
    (picture,) = (habits.folder / "pictures").glob("*.png")
    assert done.stdout == f"pictures/{picture.name}\n"
    assert f"note: -p: there is no display here to open pictures/{picture.name}" in done.stderr
    assert "note: --progress_bar has no effect: renderer shows its own progress" in done.stderr


def test_a_dry_run_of_manims_options_lists_what_the_job_gets(habits: Habits) -> None:
    done = habits.submit("-aqk", "scene.py", "--write_to_movie", "--dry-run", "--json")
    assert output(done)["units"] == ["First", "Second"]
    elsewhere = ("--backend", "docker", "--image", "x", "--disable_caching", "--seed", "1")
    assert habits.submit("scene.py", "Second", *elsewhere, "--dry-run").returncode == 0
    assert habits.submit("scene.py", "Second", "-n", "-1", "--dry-run").returncode == 0
    same = ("--frame_rate", "24", "-r", "320,180", "--format", "auto")
    assert habits.submit("scene.py", "Second", *same, "--dry-run").returncode == 0


REFUSED = {
    "a folder for media": (["--media_dir", "x"], "--media_dir does not work here", "write --output DIR"),
    "a window": (["-l"], "--live-preview does not work here", "-p opens the film"),
    "a name for two films": (["-a", "-o", "film"], "names one film, and there are 2 scenes", "write -o film/"),
    "a colour": (["Second", "-c", "WHITE"], "--config_file: there is no file WHITE", "background_color = WHITE"),
    "a range": (["Second", "-n", "x"], "--from_animation_number cannot be 'x'", "3 or 3,7"),
    "a level": (["Second", "-v", "LOUD"], "--verbosity cannot be 'LOUD'", "DEBUG"),
    "no file at all": (["Second", "--format", "none"], "format cannot be 'none'", "mp4"),
    "a transparent mp4": (["Second", "-t", "--format", "mp4"], "mp4 files have no transparency", "mov"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_answered(case: str, habits: Habits) -> None:
    arguments, message, hint = REFUSED[case]
    done = habits.submit("scene.py", *arguments)
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert message in done.stderr
    assert hint in done.stderr


def test_a_script_takes_o_as_its_folder(habits: Habits) -> None:
    (habits.folder / "script.py").write_text("import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/a.txt', 'w')\n")
    assert habits.submit("script.py", "-o", "out").stdout == "out/a.txt\n"


def test_each_answer_says_something() -> None:
    assert all(item.text for item in OPTIONS)
    assert len({flag for item in OPTIONS for flag in item.flags}) == sum(len(item.flags) for item in OPTIONS)
