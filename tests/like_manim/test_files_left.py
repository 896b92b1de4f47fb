"""A job gives back the files that a run leaves, as plain Manim leaves them, and pays for nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from like_manim.conftest import MakeProject
from like_manim.harness import Project, Run

pytestmark = pytest.mark.slow

# Files of all kinds; each scene begins with what every one does, in the folder where it runs.
LEAVES = """
import os, pathlib, shutil, wave
from manim import *

def leave(who):
    with open("chapters.txt", "a") as file:  # there already; a second attempt must not append again
        print(who, file=file)
    pathlib.Path("notes").mkdir()  # fails where an attempt before has left it
    pathlib.Path("notes/made.csv").write_text("a,b")
    pathlib.Path("media/images").mkdir(parents=True, exist_ok=True)
    shutil.copy("logo.bin", "media/images/copy.bin")
    with wave.open("beep.wav", "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    pathlib.Path("Film.mp4.txt").write_text(who)
    print("said", sorted(os.listdir(".")))

class Film(Scene):
    def construct(self):
        leave("film")
        self.add_sound("beep.wav")
        self.play(Create(Square()), run_time=0.5)
        with open("chapters.txt", "a") as file:
            print("end", self.renderer.time, file=file)

class Serial(Scene):
    def construct(self):
        leave("serial")
        dot = Dot()
        dot.add_updater(lambda m, dt: open("frames.txt", "a").write("."))
        self.add(dot)
        self.play(dot.animate.shift(RIGHT), run_time=0.5)
        if pathlib.Path("plays.txt").exists():
            pathlib.Path("twice.txt").touch()
        pathlib.Path("plays.txt").write_text("1")

class Fails(Scene):
    def construct(self):
        leave("fails")
        pathlib.Path("kept.csv").write_text("1")  # written, not changed
        os.mkfifo("pipe")
        os.symlink("/etc/hostname", "outside")
        os.symlink("notes", "folder")
        raise ValueError
"""
SCRIPT = """
import os, pathlib
pathlib.Path("deep/er").mkdir(parents=True)
pathlib.Path("deep/er/made.json").write_text("[1]")
pathlib.Path("kept.csv").unlink()
pathlib.Path("kept.csv").write_text("changed")
os.symlink("deep/er/made.json", "latest.json")
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "by variable.txt").touch()
"""
FILES: dict[str, str | bytes] = {
    "scene.py": LEAVES,
    "script.py": SCRIPT,
    "chapters.txt": "begun\n",
    "kept.csv": "1",
    "logo.bin": b"logo",
}
LEFT = {"chapters.txt", "notes/made.csv", "media/images/copy.bin", "beep.wav", "Film.mp4.txt"}

# As manim-voiceover keeps voices, with a service that counts what it sells.
VOICE = """
import hashlib, json, pathlib, wave
from manim import *

BOUGHT = pathlib.Path({bought!r})

def speak(scene, text):
    folder = pathlib.Path(config.media_dir, "voiceovers")
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "cache.json"
    entries = json.loads(index.read_text()) if index.exists() else []
    found = next((entry for entry in entries if entry["input_text"] == text), None)
    if found is None:
        with BOUGHT.open("a") as file:
            print(text, file=file)
        name = hashlib.sha256(text.encode()).hexdigest()[:8] + ".wav"
        with wave.open(str(folder / name), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(text.encode().ljust(1600))
        found = {{"input_text": text, "original_audio": name, "final_audio": name}}
    index.write_text(json.dumps([*entries, found]))
    scene.add_sound(str(folder / found["final_audio"]))

class Talk(Scene):
    def construct(self):
        for text in ("one", "two", "three"):
            speak(self, text)
            self.play(FadeIn(Dot()), run_time=0.2)
        self.add_updater(lambda dt: open("frames.txt", "a").close())  # so that it is rendered serially
        self.wait(0.2)

class More(Scene):
    def construct(self):
        for text in ("one", "four"):
            speak(self, text)
        self.wait(0.2)
"""


def names(run: Run) -> set[str]:
    return set(run.files)


@pytest.mark.parametrize("scene", ["Film", "Serial"])
def test_the_files_that_a_scene_leaves(scene: str, make_project: MakeProject) -> None:
    _, found = make_project(FILES).compare("scene.py", scene)
    more = {"frames.txt", "plays.txt"} if scene == "Serial" else set()
    assert names(found) == LEFT | more | {f"{scene}.mp4"}
    assert found.result["render"]["mode"] == ("serial" if scene == "Serial" else "parallel")


def test_the_files_that_a_script_leaves(make_project: MakeProject) -> None:
    _, found = make_project(FILES).compare("script.py", None)
    assert names(found) == {"deep/er/made.json", "kept.csv", "latest.json", "by variable.txt"}
    assert found.files["latest.json"].read_bytes() == b"[1]"


def test_scenes_of_one_job_see_and_give_back_their_own_files_alone(make_project: MakeProject) -> None:
    found = make_project(FILES).submit("scene.py", "Film", "Serial")
    assert found.exit_code == 0, found.log
    assert names(found) == {
        *LEFT, "Film.mp4", "Serial.mp4", "frames.txt", "plays.txt", *(f"Serial-1/{name}" for name in LEFT),
    }  # fmt: skip
    assert found.files["chapters.txt"].read_bytes() == b"begun\nfilm\nend 0.5\n"
    assert found.files["Serial-1/chapters.txt"].read_bytes() == b"begun\nserial\n"


def test_a_scene_that_fails_leaves_files_as_well(make_project: MakeProject) -> None:
    found = make_project(FILES).submit("scene.py", "Fails")
    assert found.exit_code != 0
    assert {output["path"] for output in found.result["outputs"]} == LEFT


def test_no_voice_is_bought_twice(tmp_path: Path) -> None:
    bought = tmp_path / "bought"
    project = Project.make({"talk.py": VOICE.format(bought=str(bought)), ".gitignore": "media\n"}, tmp_path)
    first, second = project.submit("talk.py", "Talk"), project.submit("talk.py", "Talk")
    assert (first.exit_code, second.exit_code) == (0, 0), second.log
    assert first.result["render"]["mode"] == "serial"
    assert bought.read_text().split() == ["one", "two", "three"]
    assert names(first) > {"media/voiceovers/cache.json"}
    assert not (project.folder / "media").exists()
    assert project.submit("talk.py", "More").exit_code == 0
    assert bought.read_text().split() == ["one", "two", "three", "four"]
    listed = json.loads(project.submit("talk.py", "Talk").files["media/voiceovers/cache.json"].read_text())
    assert {entry["input_text"] for entry in listed} == {"one", "two", "three", "four"}
    assert bought.read_text().split() == ["one", "two", "three", "four"]
