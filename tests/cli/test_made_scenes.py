"""Scenes that only running tells, and which files are Manim jobs, scripts or neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import Run
from support.commands import SMALL, output

from backends.errors import SpecError
from backends.exit_codes import ExitCode
from renderer import config
from renderer.spec import RenderSpec, prepare
from renderer.units.reading import read_use_of_manim

HEAD = "from manim import *\n"
KINDS = """\
import sys
from manim import *
from tools import as_scene, lesson

print("the file prints", file=sys.stdout)


def make(name, text):
    class Made(Scene):
        '''Made in a function.

        More.'''
        def construct(self):
            self.add(Dot())
            self.wait(0.2)
    Made.__name__ = Made.__qualname__ = name
    return Made


for number in (1, 2):
    made = make(f"Step{number}", "x")
    globals()[f"Step{number}"] = made

Base = ThreeDScene if number else Scene


class Chosen(Base):
    def construct(self):
        self.wait(0.2)


@as_scene
def decorated(self):
    self.wait(0.2)


Typed = type("Typed", (Scene,), {"construct": lambda self: self.wait(0.2)})
Elsewhere = lesson()
"""
TOOLS = """\
from manim import Scene


def as_scene(construct):
    found = type(construct.__name__.title(), (Scene,), {"construct": construct})
    found.__module__ = construct.__module__
    return found


def lesson():
    return type("Elsewhere", (Scene,), {})
"""


@pytest.fixture
def files(project: Path) -> Path:
    texts = {
        "kinds.py": KINDS,
        "tools.py": TOOLS,
        "imports.py": "from intro import Intro\n",
        "stars.py": "from kinds import *\n",
        "intro.py": f"{HEAD}class Intro(Scene):\n    pass\n",
        "gl.py": "from manimlib import *\nclass A(Scene): pass\n",
        "uses.py": f"{HEAD}print(config.frame_width)\n",
        "itself.py": f"{HEAD}if __name__ == '__main__':\n    print('by itself')\n",
        "fails.py": f"{HEAD}Made = type('Made', (Scene,), {{}})\nimport nosuchmodule\n",
        "script.py": "print(1)\n",
        "late.py": "import importlib\nclass Late(importlib.import_module('intro').Intro): pass\n",
        "text.py": "exec('from manim import *; Sent = type(\"Sent\", (Scene,), {})')\n",
        "empty.py": "",
    }
    for name, text in texts.items():
        (project / name).write_text(text)
    return project


@pytest.mark.slow
def test_scenes_of_every_kind_are_listed_and_rendered(files: Path, run: Run) -> None:
    listed = run("scenes", "kinds.py", "--json")
    names = [scene["name"] for scene in output(listed)]
    assert names == ["Step1", "Step2", "Chosen", "Typed", "Decorated"], listed.stderr
    docs = {scene["name"]: scene["doc"] for scene in output(listed)}
    assert docs["Step1"] == "Made in a function."
    done = run("submit", "kinds.py", "--all", "--json", *SMALL)
    assert sorted(Path(path).name for path in output(done)["outputs"]) == sorted(f"{name}.mp4" for name in names)
    assert not list(files.rglob("__pycache__"))


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_a_name_that_is_not_there_is_refused_with_what_there_is(run: Run) -> None:
    done = run("submit", "kinds.py", "Step3")
    assert done.returncode == ExitCode.USAGE
    assert "kinds.py has no scene 'Step3'\n  → did you mean Step2 or Step1?" in done.stderr
    done = run("submit", "kinds.py", "Elsewhere")
    assert "kinds.py has no scene of its own called Elsewhere: it imports it from tools.py" in done.stderr
    done = run("submit", "stars.py")
    assert done.returncode == ExitCode.USAGE
    assert "it imports it from kinds.py" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_a_scene_is_found_in_a_file_that_does_not_show_that_it_uses_manim(run: Run) -> None:
    for file, name in (("late.py", "Late"), ("text.py", "Sent")):
        done = run("submit", file, name, "--dry-run", "--json")
        assert done.returncode == 0, done.stderr
        assert output(done)["units"] == [name]


def test_a_module_with_the_name_of_our_package_is_refused_where_it_would_not_be_found(files: Path, run: Run) -> None:
    (files / "backends").mkdir()
    (files / "backends" / "__init__.py").write_text("SIZE = 1\n")
    (files / "film.py").write_text(f"{HEAD}from backends import SIZE\nclass Film(Scene): pass\n")
    (files / "plain.py").write_text("import backends\n")
    done = run("submit", "film.py", "Film", "--dry-run")
    assert done.returncode == ExitCode.USAGE
    assert "film.py imports backends/__init__.py, which has the name of a package of this program" in done.stderr
    assert run("submit", "plain.py", "--dry-run").returncode == 0
    (files / "backends" / "film.py").write_text(f"{HEAD}from .renderer import x\nclass Film(Scene): pass\n")
    (files / "backends" / "renderer.py").write_text("x = 1\n")
    assert run("submit", "backends/film.py", "Film", "--dry-run").returncode == 0


def test_the_files_of_manims_options_count_for_scenes_alone(files: Path, run: Run) -> None:
    (files.parent / "house.cfg").write_text("[CLI]\n")
    (files / "renderer.toml").write_text('manim_options = ["-c", "../house.cfg"]\n')
    assert run("submit", "script.py", "--dry-run").returncode == 0
    done = run("submit", "intro.py", "Intro", "--dry-run")
    assert done.returncode == ExitCode.USAGE
    assert "--config_file: ../house.cfg is not in" in done.stderr


@pytest.mark.usefixtures("files")
def test_a_file_that_fails_is_not_asked(run: Run) -> None:
    done = run("submit", "fails.py")
    assert done.returncode == ExitCode.USAGE
    assert "ModuleNotFoundError: No module named 'nosuchmodule'" in done.stderr
    done = run("submit", "fails.py", "Made", "--dry-run", "--json")
    assert output(done)["units"] == ["Made"]


def test_untrusted_code_is_not_run_outside_its_sandbox(files: Path, run: Run) -> None:
    (files / "marks.py").write_text(
        f"open('ran', 'w')\nopen('{files}/ran', 'w')\n{HEAD}A = type('A', (Scene,), {{}})\n"
    )
    done = run("scenes", "marks.py", "--untrusted")
    assert "only scenes that can be read are listed" in done.stderr
    done = run("submit", "marks.py", "--untrusted", "--all", "--dry-run")
    assert "untrusted code runs in its sandbox only" in done.stderr
    done = run("submit", "marks.py", "A", "--untrusted", "--dry-run")
    assert done.returncode == 0
    assert "the job will look" in done.stderr
    assert not (files / "ran").exists()


def test_code_that_runs_elsewhere_is_not_run_here(project: Path) -> None:
    mark = project / "ran"
    (project / "marks.py").write_text(f"open('{mark}', 'w')\n{HEAD}A = type('A', (Scene,), {{}})\n")
    settings = config.load({"backend": "k8s", "image": "x"}, environ={}).settings
    with pytest.raises(SpecError, match="its code runs on the backend k8s") as refused:
        prepare(RenderSpec(path=project / "marks.py", every=True), settings)
    assert "renderer scenes" in str(refused.value.hint)
    prepared = prepare(RenderSpec(path=project / "marks.py", scenes=("A",)), settings)
    assert prepared.job.units == ("A",)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("gl.py", "gl.py is made for ManimGL (manimlib), another program than Manim Community"),
        ("uses.py", "uses.py uses Manim, but has no scene"),
        ("imports.py", "imports.py has no scene of its own called Intro: it imports it from intro.py"),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_file_that_uses_manim_is_no_script_by_surprise(file: str, message: str, run: Run) -> None:
    done = run("submit", file)
    assert done.returncode == ExitCode.USAGE
    assert message in done.stderr
    assert output(run("submit", file, "--kind", "script", "--dry-run", "--json"))["units"] == [file]


@pytest.mark.usefixtures("files")
def test_a_file_that_renders_by_itself_is_a_script(run: Run) -> None:
    assert output(run("submit", "itself.py", "--dry-run", "--json"))["units"] == ["itself.py"]
    assert output(run("submit", "uses.py", "--dry-run", "--json", "--", "1"))["units"] == ["uses.py"]


@pytest.mark.usefixtures("files")
def test_a_file_without_scenes_is_described(run: Run) -> None:
    assert run("scenes", "script.py").stderr == "script.py has no scenes: it is a script, and does not use Manim\n"
    assert run("scenes", "empty.py").stderr == "empty.py has no scenes: it is empty\n"


SIGNS = {
    "type()": "A = type('A', (Scene,), {})",
    "a class in a function": "def f():\n    class A(Scene): pass\n    return A\na = f()",
    "a class decorator": "import kit\n@kit.twice\nclass A(Scene): pass",
    "a function decorator": "from kit import scene\n@scene\ndef a(self): pass",
    "a chosen base": "B = ThreeDScene if 1 else Scene\nclass A(B): pass",
    "a computed base": "class A(kit.base()): pass",
    "a metaclass": "class A(Scene, metaclass=M): pass",
    "globals": "globals()['A'] = 1",
    "a factory": "A = kit.make()",
    "a base from a loop": "for name, Base in [('x', Scene)]:\n    class A(Base): pass",
    "a class that is removed": "class A(Scene): pass\ndel A",
    "a case": "match 1:\n    case 1:\n        class A(Scene): pass",
    "an inner class": "class B:\n    class A(Scene): pass\nA = B.A",
    "another file's text": "exec(open('other.py').read())",
    "a condition": "if 1:\n    class A(Scene): pass",
    "another module name": "class A(Scene): pass\nA.__module__ = 'x'",
}


@pytest.mark.parametrize("case", SIGNS)
def test_a_file_that_may_make_scenes_is_recognised(case: str, tmp_path: Path) -> None:
    path = tmp_path / "film.py"
    path.write_text(HEAD + SIGNS[case])
    assert read_use_of_manim(path, tmp_path).makes_scenes


def test_an_ordinary_file_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "film.py"
    path.write_text(
        f"{HEAD}import numpy as np\nfrom tools import shift\nCOLOR = ManimColor('#fff')\nstep = shift(2)\n"
        "class Base(Scene):\n    def construct(self):\n        self.add(VGroup(*[Dot() for _ in range(3)]))\n"
        "class A(Base): pass\n"
    )
    (tmp_path / "tools.py").write_text("from manim import *\ndef shift(x):\n    return x * RIGHT\n")
    reading = read_use_of_manim(path, tmp_path)
    assert reading.uses_manim
    assert not reading.makes_scenes
    assert not reading.renders_itself


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import manim_slides", True),
        ("try:\n    from manim_voiceover import VoiceoverScene\nexcept ImportError: pass", True),
        ("import tools", True),
        ("class A(Unknown):\n    def construct(self): pass", True),
        ("import manimal", False),
        ("def later():\n    import manim", False),
    ],
)
def test_use_of_manim_is_found(text: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(HEAD)
    (tmp_path / "file.py").write_text(text)
    assert read_use_of_manim(tmp_path / "file.py", tmp_path).uses_manim is expected
