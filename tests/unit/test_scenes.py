"""Scenes are found by reading a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from renderer.scenes import choose_scenes, find_scenes

CASES = {
    "a star import": ("from manim import *\nclass A(Scene): pass\nclass B(ThreeDScene): pass\n", ["A", "B"]),
    "a module": ("import manim as m\nclass A(m.MovingCameraScene): pass\n", ["A"]),
    "an alias": ("from manim import Scene as S\nclass A(S): pass\n", ["A"]),
    "inheritance": ("from manim import *\nclass Base(Scene): pass\nclass A(Base): pass\n", ["Base", "A"]),
    "a mixin": ("from manim import *\nclass Mixin: pass\nclass A(Mixin, Scene): pass\n", ["A"]),
    "a sibling's base": ("from base import Own\nclass A(Own): pass\n", ["A"]),
    "a sibling module": ("import base\nclass A(base.Own): pass\n", ["A"]),
    "a sibling's other class": ("from base import Tool\nclass A(Tool): pass\n", []),
    "a plugin": ("from manim_slides import Slide\nclass A(Slide): pass\n", ["A"]),
    "a condition": ("from manim import *\nif True:\n  class A(Scene): pass\n", ["A"]),
    "an inner class": ("from manim import *\ndef f():\n  class A(Scene): pass\n", []),
    "no scene": ("class A: pass\nclass B(dict): pass\n", []),
    "a loop of bases": ("class A(B): pass\nclass B(A): pass\n", []),
    "a group": ("from manim import *\nclass A(VGroup): pass\n", []),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.py").write_text("from manim import *\nclass Own(Scene): pass\nclass Tool: pass\n")
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_scenes_are_found_as_manim_finds_them(case: str, folder: Path) -> None:
    text, expected = CASES[case]
    path = folder / "file.py"
    path.write_text(text)
    assert [scene.name for scene in find_scenes(path)] == expected


def test_the_file_is_never_run(folder: Path) -> None:
    path = folder / "file.py"
    path.write_text("from manim import *\nraise SystemExit(3)\nclass A(Scene):\n  '''First line.\n\n  more'''\n")
    (scene,) = find_scenes(path)
    assert (scene.name, scene.line, scene.doc) == ("A", 3, "First line.")


def test_reading_imports_no_manim(folder: Path) -> None:
    path = folder / "file.py"
    path.write_text("from manim import *\nclass A(Scene): pass\n")
    code = (
        "import sys, pathlib, renderer\nrenderer.find_scenes(pathlib.Path(sys.argv[1]))\nprint('manim' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_all_scenes_are_chosen_also_beside_a_named_one(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text("from manim import *\nclass A(Scene): ...\nclass B(Scene): ...\n")
    found = find_scenes(path)
    assert choose_scenes(path, found, ("B",), every=True) == ("A", "B")
    assert choose_scenes(path, found, ("B",), every=False) == ("B",)
