"""A job runs in the folder where the command is typed, and finds what plain Manim and Python find there."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from like_manim.conftest import MakeProject
from support.commands import renderer

pytestmark = pytest.mark.slow

CONFIG = "[CLI]\nbackground_color = #224466\npixel_width = 160\npixel_height = 160\nframe_width = 8\nframe_rate = 10\n"
LOGO = """from manim import *

class Logo(Scene):
    def construct(self):
        self.play(FadeIn(ImageMobject("assets/logo.png").scale(20)), run_time=0.3)
"""
MODULES: dict[str, str | bytes] = {
    "project/__init__.py": "",
    "project/shapes.py": "from manim import *\n\ndef shape():\n    return Square(color=RED)\n",
    "project/scenarios/base.py": "from manim import *\nfrom project.shapes import shape\n\nclass Base(Scene):\n"
    "    def setup(self):\n        self.camera.background_color = '#202830'\n",
    "my lib/house_style/__init__.py": "from .parts import HouseScene\n",
    "my lib/house_style/parts.py": "from manim import *\n\nclass HouseScene(Scene):\n"
    "    def setup(self):\n        self.add(Dot().to_corner(UL))\n",
    "project/scenarios/film.py": "import os, subprocess, sys\nfrom house_style import *\nfrom manim import *\n"
    "from project.scenarios.base import Base, shape\nimport base\n\n"
    "print('said', os.path.relpath(__file__), base.Base is Base, 'my lib' in os.environ['PYTHONPATH'])\n"
    "class Film(Base, HouseScene):\n    def construct(self):\n"
    "        subprocess.run([sys.executable, '-c', 'import house_style'], check=True)\n"
    "        self.play(Create(shape()), run_time=0.3)\n",
    "project/scenarios/relative.py": "from ..shapes import shape\nfrom manim import *\nfrom .base import Base\n\n"
    "class Film(Base):\n    def construct(self):\n        self.play(Create(shape()), run_time=0.3)\n",
    "hacked/film.py": "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), '..', 'my lib'))\n"
    "from house_style.parts import HouseScene\nfrom manim import *\n\n"
    "class Hacked(HouseScene):\n    def construct(self):\n        self.play(Create(Circle()), run_time=0.3)\n",
}
SCRIPT = """import os, sys
from pathlib import Path
import beside, house_style
print("said", sys.argv, __file__ == str(Path("tools/run.py").absolute()), os.listdir("assets"), beside.NAME)
Path(os.environ["RENDERER_OUTPUT_DIR"], "sum.txt").write_text(str(len(Path("assets/logo.png").read_bytes())))
"""


def make_png(size: int = 8) -> bytes:
    """Return a picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xd0\x60\x20" * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_the_configuration_and_the_assets_of_the_current_folder_count(make_project: MakeProject) -> None:
    project = make_project(
        {
            "manim.cfg": CONFIG,
            "scenes/manim.cfg": CONFIG.replace("#224466", "#ff0000"),
            "assets/logo.png": make_png(),
            "scenes/one.py": LOGO,
        }
    )
    want, found = project.compare("scenes/one.py", "Logo", small=False)
    assert found.exit_code == 0, found.log
    assert set(found.files) == {"Logo.mp4"}
    outside = project.submit("one.py", "Logo", cwd="scenes")  # there is no assets/logo.png, as for plain Manim
    assert outside.exit_code == 10
    assert project.run_plain("one.py", "Logo", cwd="scenes").exit_code == 1
    assert project.submit("../scenes/one.py", "Logo", "--root", "..", cwd="assets").exit_code == 0
    assert want.exit_code == 0


def test_modules_of_the_project_are_found(make_project: MakeProject) -> None:
    project = make_project(MODULES)
    project.env["PYTHONPATH"] = ".:my lib"
    _, found = project.compare("project/scenarios/film.py", "Film")
    assert found.exit_code == 0, found.log
    del project.env["PYTHONPATH"]
    assert project.submit("project/scenarios/relative.py", "Film").exit_code == 0  # plain Manim cannot do this
    _, found = project.compare("hacked/film.py", "Hacked")
    assert found.exit_code == 0, found.log


def test_a_script_runs_in_the_current_folder(make_project: MakeProject) -> None:
    project = make_project({
        **MODULES, "tools/run.py": SCRIPT, "tools/beside.py": "NAME = 'x'\n", "assets/logo.png": make_png(),
        "my lib/house_style/__init__.py": "",
    })  # fmt: skip
    project.env["PYTHONPATH"] = "my lib"
    _, found = project.compare("tools/run.py", None)
    assert found.exit_code == 0, found.log
    assert found.said
    project.env["PYTHONPATH"] = "../my lib"  # outside of the root: found on this machine nevertheless
    (project.folder / "tools" / "near.py").write_text("import house_style\nprint('said', house_style.__file__)\n")
    found = project.submit("near.py", None, cwd="tools")
    assert found.exit_code == 0, found.log
    assert found.said == [f"said {project.folder / 'my lib' / 'house_style' / '__init__.py'}"]


def test_an_error_names_what_was_not_uploaded(make_project: MakeProject) -> None:
    project = make_project({
        ".gitignore": "# large files\n*.png\n",
        "my sounds/.rendererignore": "*.wav\n",
        "my sounds/click.wav": b"RIFF",
        "assets/logo.png": make_png(),
        "films/one.py": LOGO + "\nclass Click(Scene):\n    def construct(self):\n"
        "        self.add_sound('my sounds/click.wav')\n        self.wait()\n",
        "films/.gitignore": "lost/\n",
        "films/lost/__init__.py": "",
        "films/two.py": "from manim import *\nimport lost.things\n\nclass Two(Scene):\n    pass\n",
        "films/three.py": "from pathlib import Path\nprint(open(Path(__file__).parent / '../.env').read())\n",
        ".env": "TOKEN=x",
    })  # fmt: skip
    expected = {
        ("one.py", "Logo"): "assets/logo.png was not uploaded: .gitignore line 2 '*.png'; "
        "to include it, write !assets/logo.png in .rendererignore",
        ("one.py", "Click"): "my sounds/click.wav was not uploaded: my sounds/.rendererignore line 1 '*.wav'; "
        "to include it, write !click.wav in my sounds/.rendererignore",
        ("two.py", "Two"): "films/lost was not uploaded: films/.gitignore line 1 'lost/'; "
        "to include it, write !films/lost/ in .rendererignore",
        ("three.py", None): ".env was not uploaded: it looks like a credential; "
        "to include it, write !.env in .rendererignore",
    }
    for (file, scene), sentence in expected.items():
        found = project.submit(f"films/{file}", scene)
        assert found.exit_code == 10
        assert sentence in json.loads(found.log.splitlines()[1])["units"][0]["hint"]


def test_links_out_of_the_project_are_followed_on_this_machine(make_project: MakeProject) -> None:
    project = make_project({"assets/logo.png": make_png(), "lib/words.py": "WORD = 'x'\n", "film/scene.py": LOGO + """
from lib.words import WORD
print("said", WORD)
"""})  # fmt: skip
    for name, target in {"assets": "../assets", "lib": str(project.folder / "lib"), "result": "/nix/store/1"}.items():
        (project.folder / "film" / name).symlink_to(target)
    want = project.run_plain("scene.py", "Logo", cwd="film")
    found = project.submit("scene.py", "Logo", cwd="film")
    assert found.exit_code == want.exit_code == 0, found.log
    assert found.said == want.said == ["said x"]
    (project.folder / "assets" / "notes.png").write_text("no picture")
    (project.folder / "film" / "wrong.py").write_text("from PIL import Image\nImage.open('assets/notes.png')\n")
    found = project.submit("wrong.py", None, cwd="film")
    assert found.exit_code == 10
    assert "was not uploaded" not in found.log
    elsewhere = renderer("submit", "scene.py", "--dry-run", "--untrusted", cwd=project.folder / "film", env=project.env)
    assert "note: links that lead out of the folder are not uploaded: assets, lib, result;" in elsewhere.stderr


def test_an_untrusted_job_gets_nothing_from_beside_its_folder(make_project: MakeProject) -> None:
    project = make_project({"private.txt": "x", "lib/own.py": "", "jobs/1/evil.py": "print('x')", "jobs/2/data": "x"})
    project.env["PYTHONPATH"] = "lib"
    submit = ("submit", "jobs/1/evil.py", "--dry-run")
    trusted = renderer(*submit, cwd=project.folder, env=project.env)
    assert "  private.txt\n" in trusted.stdout
    assert trusted.stderr.startswith("4 files, 12 bytes of ./\n")
    untrusted = renderer(*submit, "--untrusted", cwd=project.folder, env=project.env)
    assert "1 files, 10 bytes\n  evil.py\nunits:" in untrusted.stdout
    assert untrusted.stderr.startswith("1 file, 10 bytes of ./jobs/1/\nnote: lib, of PYTHONPATH, is not uploaded")


def test_what_a_file_imports_is_named_before_it_is_missing(make_project: MakeProject) -> None:
    project = make_project({".gitignore": "lib/\n", "lib/house.py": "", "film.py": "import house\n", "lib/bad.py": "("})
    project.env["PYTHONPATH"] = "lib"
    done = renderer("submit", "film.py", "--dry-run", cwd=project.folder, env=project.env)
    assert done.returncode == 0
    assert done.stderr == (
        "2 files, 18 bytes of ./\nnote: lib/house.py, which film.py imports, is not uploaded: "
        ".gitignore line 1 'lib/'; to include it, write !lib/ in .rendererignore\n"
    )
