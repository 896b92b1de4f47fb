"""Scenes are found by reading a file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.files import make

from renderer.scenes import choose_scenes, find_modules_outside, find_scenes

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
    "a long chain of elif": (
        "from manim import *\nif 0: pass\n" + "elif 0: pass\n" * 2000 + "else:\n  class A(Scene): pass\n",
        ["A"],
    ),
    "a match": ("from manim import *\nmatch 1:\n  case 1:\n    class A(Scene): pass\n", ["A"]),
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


PROJECT = {
    "shapes/__init__.py": "from manim import *\n",
    "shapes/base.py": "from manim import *\nclass Own(Scene): ...\n",
    "spaces/inner/deep.py": "from ..sibling import Own\nclass Deep(Own): ...\n",
    "spaces/sibling.py": "from shapes.base import Own\n",
    "lib/house.py": "from shapes import Scene\nclass House(Scene): ...\n",
    "sub/setup_path.py": "import os, sys\nsys.path[:0] = [os.path.join(os.path.dirname(__file__), '..', 'lib')]\n",
    "sub/__init__.py": "from .near import Near as Known\n",
    "sub/near.py": "from manim import *\nclass Near(Scene): ...\n",
}
IMPORTS = {
    "absolute, from the root": "from shapes.base import Own\nclass A(Own): ...\n",
    "relative": "from ..shapes.base import Own\nclass A(Own): ...\n",
    "a module by a relative import": "from ..shapes import base as b\nclass A(b.Own): ...\n",
    "beside the file": "from .near import Near\nclass A(Near): ...\n",
    "of the file's own package": "from . import Known\nclass A(Known): ...\n",
    "a namespace package": "import spaces.inner.deep\nclass A(spaces.inner.deep.Deep): ...\n",
    "PYTHONPATH": "from house import *\nclass A(House): ...\n",
    "sys.path, in a module that is imported": "import setup_path\nimport house\nclass A(house.House): ...\n",
    "sys.path.append": "import os, sys\nsys.path.append(os.path.dirname(__file__) + '/../lib')\n"
    "from house import House\nclass A(House): ...\n",
    "sys.path.insert": "import sys\nfrom pathlib import Path\nROOT: Path = Path(__file__).resolve().parents[1]\n"
    "if True:\n    sys.path.insert(0, str(ROOT / 'lib'))\nfrom house import House\nclass A(House): ...\n",
    "sys.path from the working folder": "import os, sys\nsys.path += [f'{os.getcwd()}/lib']\n"
    "from house import House\nclass A(House): ...\n",
}


@pytest.mark.parametrize("case", IMPORTS)
def test_modules_are_found_as_python_finds_them(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, {**PROJECT, "sub/film.py": IMPORTS[case]})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib") if case == "PYTHONPATH" else "")
    assert [scene.name for scene in find_scenes(tmp_path / "sub" / "film.py", tmp_path)] == ["A"]


def test_modules_outside_of_the_root_are_named(tmp_path: Path) -> None:
    make(tmp_path, {**PROJECT, "sub/film.py": IMPORTS["sys.path.append"], "sub/up.py": IMPORTS["relative"]})
    root = tmp_path / "sub"
    assert find_modules_outside(root / "film.py", root) == {"house": tmp_path / "lib" / "house.py"}
    assert find_modules_outside(root / "up.py", root) == {"shapes": tmp_path / "shapes"}
    assert find_modules_outside(root / "film.py", tmp_path) == {}


def test_modules_that_import_all_of_each_other_are_read_once(tmp_path: Path) -> None:
    stars = "".join(f"from m{number} import *\n" for number in range(30))
    classes = "".join(f"class A{number}(Missing): ...\n" for number in range(100))
    make(tmp_path, {f"m{number}.py": stars for number in range(30)} | {"main.py": stars + classes})
    started = time.process_time()
    assert find_scenes(tmp_path / "main.py") == []
    assert time.process_time() - started < 15
