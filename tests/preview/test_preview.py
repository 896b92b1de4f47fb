"""Previews, as users see them: the same frames as the film, a timeline, and warnings with lines."""

from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.renders import FPS, SIZE, render_with_manim, scene_names
from PIL import Image
from support.commands import SMALL, environment, output, renderer

SCENES = Path(__file__).parent / "scenes"
FRAMES = SCENES / "frames.py"
MOVES = """
from manim import *


class Moves(Scene):
    def construct(self):
        steps = []
        dot = Dot().add_updater(lambda d, dt: steps.append(d.shift(RIGHT * dt)))
        self.add(dot)
        self.wait(1)
        self.tell(dot, steps)
        self.wait(1, stop_condition=lambda: len(steps) > 4)
        self.tell(dot, steps)

    def tell(self, dot, steps):
        self.add_subcaption(f"{len(steps)} times, {dot.get_x():.3f}")
        steps.clear()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    return folder


def run(project: Path, *arguments: str) -> Any:
    return renderer(*arguments, cwd=project, env=environment(project.parent / "home"))


def preview(project: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    done = run(project, "preview", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return {item["scene"]: item for item in output(done)}


def hash_image(file: Path) -> str:
    with Image.open(file) as image:
        pixels: bytes = np.asarray(image.convert("RGBA")).tobytes()
    return blake2b(pixels, digest_size=16).hexdigest()


def find_hash(hashes: list[str], plays: list[Mapping[str, Any]], frame: int) -> str:
    """Return the hash of a frame of the film; plain Manim draws no frames for a play that repeats an earlier one."""
    play = next(play for play in plays if 0 <= frame - play["first_frame"] < play["frames"])
    if play["repeats"] is not None:
        earlier = next(item for item in plays if item["number"] == play["repeats"])
        return find_hash(hashes, plays, earlier["first_frame"] + frame - play["first_frame"])
    before = [item["frames"] for item in plays if item["number"] < play["number"] and item["repeats"] is None]
    index: int = sum(before) + frame - play["first_frame"]
    return hashes[index]


@pytest.mark.slow
def test_frames_are_those_of_the_film(project: Path, tmp_path: Path) -> None:
    names = scene_names(FRAMES)
    want = render_with_manim(tmp_path / "plain", FRAMES, names)
    shutil.copy(FRAMES, project)
    sheets = preview(project, "frames.py", *names, *SMALL)
    drawn = {name: sheets[name]["drawn"] for name in names}
    assert drawn == {name: "every frame" if name == "Pixels" else "shown frames" for name in names}
    assert [play["repeats"] for play in sheets["Repeats"]["plays"]] == [None, None, None, 1, 2, None]
    for name in names:
        assert (sheets[name]["width"], sheets[name]["height"]) == SIZE
        assert name == "Stands" or sheets[name]["frames"] == sum(play["frames"] for play in sheets[name]["plays"])
    check_frames(project, "Tricky", [0, 9, 20, 21, 33], range(8), sheets, want["Tricky"].frames)
    check_frames(project, "Pixels", [1, 9], range(4), sheets, want["Pixels"].frames)
    check_frames(project, "Turns", [5, 7], [0, 1], sheets, want["Turns"].frames)
    check_frames(project, "Repeats", [2, 10, 13, 17], range(6), sheets, want["Repeats"].frames)


def check_frames(
    project: Path,
    name: str,
    frames: Iterable[int],
    numbers: Iterable[int],
    sheets: Mapping[str, Any],
    hashes: list[str],
) -> None:
    """Compare single frames, by time and by play, with those of plain Manim."""
    plays = sheets[name]["plays"]
    times = [word for frame in frames for word in ("--at", f"{(frame + 0.5) / FPS:.2f}s")]
    chosen = [word for number in numbers for word in ("--play", str(number))]
    (item,) = preview(project, "frames.py", name, *SMALL, *times, *chosen).values()
    last = {play["number"]: play["first_frame"] + play["frames"] - 1 for play in plays}
    wanted = [*frames, *(last[number] for number in numbers)]
    assert [hash_image(Path(file)) for file in item["images"]] == [find_hash(hashes, plays, frame) for frame in wanted]


def test_timeline_and_warnings(project: Path) -> None:
    shutil.copy(SCENES / "warnings.py", project)
    with wave.open(str(project / "beep.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 800, "NONE", ""))
        sound.writeframes(bytes(1600))
    found = preview(project, "warnings.py", "Faulty", "Tidy", "--quality", "l")
    faulty = found["Faulty"]
    lines = {warning["kind"]: warning["source"]["line"] for warning in reversed(faulty["warnings"])}
    assert lines == {
        "outside": 6,
        "small-text": 8,
        "overlap": 10,
        "low-contrast": 12,
        "short-play": 18,
        "font": 18,
    }, faulty["warnings"]
    messages = [warning["message"] for warning in faulty["warnings"]]
    assert any("No Such Font" in message for message in messages)
    assert any("nosuchfont" in message for message in messages)
    assert any("Circle reaches beyond the frame (right)" in message for message in messages)
    assert any("Square lies outside of the frame (top)" in message for message in messages)
    shown = faulty["plays"][2]
    assert (shown["source"]["line"], shown["called_from"]["line"]) == (24, 11)
    assert shown["code"] == "self.play(FadeIn(shown), run_time=0.2)"
    assert shown["animations"] == [{"name": "FadeIn", "mobject": "Text", "run_time_s": 0.2}]
    assert [section["name"] for section in faulty["sections"]] == ["autocreated", "end"]
    assert faulty["subcaptions"] == [{"text": "so it ends", "start_s": 0.8, "end_s": 1.0}]
    assert faulty["sounds"] == [{"file": "beep.wav", "start_s": 0.8, "duration_s": 0.1}]
    assert found["Tidy"]["warnings"] == []
    assert json.loads(Path(faulty["file"]).read_text())["plays"] == faulty["plays"]
    (file,) = faulty["images"]
    with Image.open(file) as sheet:
        assert sheet.width >= 960
    assert output(run(project, "list", "--json")) == []  # a preview leaves no job
    again = run(project, "preview", "warnings.py", "Tidy", "--quality", "l")  # twice in a row replaces its files
    assert again.returncode == 0
    assert sorted(path.name for path in (project / "renders").iterdir() if "Tidy" in path.name) == [
        "Tidy.preview.json",
        "Tidy.preview.png",
    ]


def test_a_sheet_steps_plays_with_updaters_as_often_as_the_lowest_quality(project: Path) -> None:
    (project / "moves.py").write_text(MOVES)
    (sheet,) = preview(project, "moves.py", *SMALL, "--fps", "60").values()
    (film,) = preview(project, "moves.py", *SMALL, "--fps", "60", "--play", "0").values()
    assert [item["text"] for item in sheet["subcaptions"]] == ["18 times, 0.983", "6 times, 1.033"]
    assert [item["text"] for item in film["subcaptions"]] == ["62 times, 0.983", "6 times, 1.033"]
    assert sheet["plays"] == film["plays"]
    assert ("-ql" in str(sheet["notes"]), "-ql" in str(film["notes"])) == (True, False)


def test_what_has_no_preview_is_refused(project: Path) -> None:
    shutil.copy(FRAMES, project)
    (project / "script.py").write_text("print('hello')\n")
    script = run(project, "preview", "script.py")
    assert (script.returncode, script.stderr.splitlines()[0]) == (
        2,
        "renderer: script.py is a script, and only scenes have a preview",
    )
    time = run(project, "preview", "frames.py", "Stands", "--at", "soon")
    assert (time.returncode, "--at cannot be 'soon'" in time.stderr) == (2, True)
    late = run(project, "preview", "frames.py", "Stands", *SMALL, "--at", "9s")
    assert late.returncode == 2
    assert late.stderr.splitlines()[-1] == "renderer: the film of Stands ends at 0.1 s: it has no frame at 9 s"
    assert "failed" not in late.stderr
    number = run(project, "preview", "frames.py", "Stands", *SMALL, "--play", "3", "--json")
    assert output(number)["error"] == "the film of Stands has no play 3: its plays are 0 to 0"
    assert output(run(project, "list", "--json")) == []  # neither has left a job
    (project / "frames.py").write_text(
        "from manim import *\n\nclass A(Scene):\n    def construct(self):\n        1 / 0\n"
    )
    wrong = run(project, "preview", "frames.py", "A", *SMALL)
    assert wrong.returncode == 10
    assert "frames.py:5 in construct: 1 / 0" in wrong.stderr
    (project / "frames.py").write_text(
        "from manim import *\n\nclass A(Scene):\n    def construct(self):\n        self.wait(0.1)\n"
    )
    handle = next(line.split()[1] for line in wrong.stderr.splitlines() if "local://" in line)
    again = run(project, "retry", handle)
    assert again.returncode == 0, again.stderr
    assert (project / "renders" / "A.preview.png").exists()
    assert not (project / "renders" / "A.mp4").exists()
