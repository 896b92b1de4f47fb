"""Every wrong request: one sentence, what to do, the documented exit code, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Run
from support.commands import output

from backends.exit_codes import ExitCode

SCENES = "from manim import *\nclass Circles(Scene):\n  pass\nclass Squares(Scene):\n  pass\n"

WRONG: dict[str, tuple[list[Any], str, str]] = {
    "a missing file": (["nope.py"], "there is no file nope.py", "the current folder is"),
    "standard input": (["-"], "takes no code from standard input", "save it as"),
    "a folder": (["."], ". is a folder", "name the Python file in it"),
    "not a Python file": (["notes.txt"], "notes.txt is not a Python file", "ends in .py"),
    "a syntax error": (["broken.py"], "broken.py, line 2: invalid syntax\n  x = = 1\n      ^", ""),
    "not text": (["binary.py"], "binary.py is not Python source", ""),
    "no scene": (["empty.py"], "empty.py uses Manim, but has no scene", "a scene is a class derived from Scene"),
    "an unknown scene": (["scenes.py", "Circle"], "scenes.py has no scene 'Circle'", "did you mean Circles"),
    "a choice of scenes": (["scenes.py"], "scenes.py has 2 scenes: Circles, Squares", "--all"),
    "arguments for a scene": (["scenes.py", "Circles", "--", "x"], "a Manim job takes no arguments", "--kind script"),
    "scenes of a script": (["script.py", "--all", "--kind", "script"], "runs as a script", "arguments go after --"),
    "an unknown quality": (
        ["scenes.py", "--quality", "x"],
        "--quality cannot be 'x': it can be l, m, h, p or k",
        "--quality: Manim's letters",
    ),
    "no pixels": (["scenes.py", "--resolution", "0x0"], "resolution cannot be '0x0'", ""),
    "odd pixels": (["scenes.py", "--resolution", "101x100"], "must be even numbers", ""),
    "no resolution": (["scenes.py", "--resolution", "big"], "write it as WIDTHxHEIGHT", ""),
    "no parallelism": (["script.py", "--parallelism", "0"], "--parallelism cannot be '0': it must be at least 1", ""),
    "no frame rate": (["scenes.py", "--fps", "0"], "fps cannot be '0'", ""),
    "no number of cores": (["scenes.py", "--cpu", "inf"], "--cpu cannot be 'inf': write a number", "CPU cores"),
    "no time": (["scenes.py", "--timeout", "soon"], "write a time like 90s, 10m, 1h30m or 2d", ""),
    "a bare variable": (["script.py", "--env", "NOVALUE"], "write it as KEY=VALUE", ""),
    "a variable that is not UTF-8": (["script.py", "--env", b"WORD=\xff"], "'WORD' is not UTF-8", "in a file"),
    "an argument that is not UTF-8": (["script.py", "--", b"\xff"], "is not UTF-8", "in a file"),
    "no name of an image": (
        ["scenes.py", "Circles", "--image", "My Image"],
        "--image cannot be 'My Image': write it as REGISTRY/NAME:TAG",
        "",
    ),
    "an unknown option": (["scenes.py", "--qualty", "l"], "No such option: --qualty", "--quality"),
    "an unknown backend": (
        ["script.py", "--backend", "locall"],
        "there is no backend 'locall'",
        "did you mean 'local'",
    ),
    "a root that does not hold the file": (["script.py", "--root", "sub"], "is not inside --root sub", ""),
    "a folder that is too large": (["script.py", "--bundle-limit-mib", "1"], "large.bin (2.0 MiB)", ".rendererignore"),
}


@pytest.fixture
def files(project: Path) -> Path:
    texts = {
        "notes.txt": "hello\n",
        "broken.py": "y = 1\nx = = 1\n",
        "empty.py": "from manim import *\nclass NotAScene: pass\n",
        "scenes.py": SCENES,
        "script.py": "print('hello')\n",
    }
    (project / "sub").mkdir()
    for name, text in texts.items():
        (project / name).write_text(text)
    (project / "binary.py").write_bytes(bytes(range(256)))
    (project / "large.bin").write_bytes(bytes(2 << 20))
    return project


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_refused(case: str, files: Path, home: Path, run: Run) -> None:
    arguments, message, hint = WRONG[case]
    before = sorted(files.rglob("*"))
    done = run("submit", *arguments)
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert message in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(files.rglob("*")) == before
    assert not list(home.rglob("jobs/*"))


WRONG_ELSEWHERE = {
    "--port cannot be 'x': write a whole number": ("serve", "--port", "x"),
    "--port cannot be '65536': it must be at most 65535": ("serve", "--port", "65536"),
    "--egress-port cannot be 'x': write a whole number": (
        "setup",
        "k8s",
        "--egress-port",
        "9000",
        "--egress-port",
        "x",
    ),
    "--play cannot be '-1': it must be at least 0": ("preview", "scene.py", "--play", "-1"),
    "build|push|tag|lint cannot be 'make'": ("image", "make"),
}


@pytest.mark.parametrize("message", WRONG_ELSEWHERE)
def test_a_wrong_value_is_named_in_our_words(message: str, run: Run) -> None:
    done = run(*WRONG_ELSEWHERE[message])
    name = message.partition(" cannot")[0]
    assert done.returncode == ExitCode.USAGE
    assert message in done.stderr
    assert f"→ {name}: " in done.stderr
    assert "Input should" not in done.stderr


WRONG_IN_FILE = {
    "timeout = [1]": "timeout cannot be [1] ({}): write a time like 90s",
    "timeout = 2026-01-01": "({}): write a time like 90s",
    "memory = '1X'": "memory cannot be '1X' ({}): write a size like 512Mi",
    "fps = true": "fps cannot be True ({}): write a value, not true or false",
    "packages = 3": "packages cannot be 3 ({}): write a list",
    "resolution = [1920, 1080, 3]": "resolution cannot be [1920, 1080, 3] ({}): it may have 2 items, and has more",
    "requirements = 3": "requirements cannot be 3 ({}): write a path",
    "manim_options = '-n \"3'": "({}): a quotation mark is not closed",
}


@pytest.mark.parametrize("line", WRONG_IN_FILE)
def test_a_wrong_value_in_a_file_is_explained(line: str, project: Path, run: Run) -> None:
    (project / "renderer.toml").write_text(line)
    done = run("config")
    assert done.returncode == ExitCode.USAGE
    assert WRONG_IN_FILE[line].format(project / "renderer.toml") in done.stderr
    assert f"→ {line.partition(' ')[0]}: " in done.stderr


@pytest.mark.parametrize("verb", ["status", "logs", "wait", "fetch", "cancel", "delete"])
def test_an_unknown_job_is_reported(verb: str, project: Path, run: Run) -> None:
    done = run(verb, "local://nope-123456")
    assert not list(project.iterdir())
    assert done.returncode == ExitCode.NOT_FOUND
    assert "there is no job local://nope-123456 on this machine" in done.stderr
    assert "renderer list --backend local" in done.stderr


@pytest.mark.parametrize("handle", ["local://", "local://a/b", "local://..", "://x"])
def test_a_text_that_is_not_a_handle_is_refused(handle: str, run: Run) -> None:
    assert run("status", handle).returncode in {ExitCode.USAGE, ExitCode.NOT_FOUND}


def test_programs_read_errors_as_json(run: Run) -> None:
    done = run("submit", "nope.py", "--json")
    assert done.returncode == ExitCode.USAGE
    assert output(done)["exit_code"] == ExitCode.USAGE
    assert output(done)["error"] == "there is no file nope.py"


def test_a_command_of_manim_is_submit(run: Run) -> None:
    for arguments in (["render", "scene.py"], ["scene.py", "Scene"], ["-pql", "scene.py", "Scene"]):
        assert "did you mean `renderer submit FILE SCENE`?" in run(*arguments).stderr


def test_an_unknown_command_names_the_nearest(run: Run) -> None:
    done = run("sumbit")
    assert done.returncode == ExitCode.USAGE
    assert "did you mean `renderer submit`?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (
            ["submit", "a.py", "--output", "loop/x"],
            ExitCode.OUTPUT,
            "cannot write the outputs to loop/x: Too many levels of symbolic links\n  → choose another --output\n",
        ),
        (
            ["mcp", "loop"],
            ExitCode.USAGE,
            "loop is no folder\n  → name the folder of the project: renderer mcp my-project\n",
        ),
    ],
)
def test_a_link_that_leads_to_itself_is_named(
    arguments: list[str], exit_code: ExitCode, said: str, project: Path, run: Run
) -> None:
    (project / "a.py").write_text("print(1)\n")
    (project / "loop").symlink_to("loop")
    done = run(*arguments)
    assert done.returncode == exit_code
    assert done.stderr.endswith(f"renderer: {said}"), done.stderr


def test_an_output_folder_is_checked_before_the_job_starts(project: Path, home: Path, run: Run) -> None:
    (project / "script.py").write_text("print(1)\n")
    (project / "out").write_text("a file, not a folder")
    done = run("submit", "script.py", "--output", "out/inner")
    assert done.returncode == ExitCode.OUTPUT
    assert "cannot write the outputs to out/inner: Not a directory" in done.stderr
    assert not list(home.rglob("jobs/*"))


def test_a_job_without_outputs_makes_no_output_folder(project: Path, run: Run) -> None:
    (project / "script.py").write_text("print(1)\n")
    assert run("submit", "script.py").returncode == 0
    done = run("submit", "script.py", "--backend", "docker", "--image", "x", PATH="/nowhere")
    assert done.returncode == ExitCode.BACKEND
    assert [path.name for path in project.iterdir()] == ["script.py"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone may mount a small file system")
def test_a_full_disk_is_reported_and_nothing_is_left(project: Path, run: Run, small_disk: Path) -> None:
    (project / "script.py").write_text("print(1)\n")
    (project / "data.bin").write_bytes(os.urandom(3 << 20))
    done = run("submit", "script.py", RENDERER_LOCAL_STATE_DIR=str(small_disk / "jobs"))
    assert done.returncode == ExitCode.OUTPUT
    assert "No space left on device" in done.stderr
    assert not list((small_disk / "jobs").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone may mount a small file system")
def test_outputs_that_do_not_fit_leave_no_half_file(project: Path, run: Run, small_disk: Path) -> None:
    (project / "script.py").write_text(
        "import os\nopen(os.environ['RENDERER_OUTPUT_DIR'] + '/large.bin', 'wb').write(bytes(3 << 20))\n"
    )
    done = run("submit", "script.py", "--output", small_disk)
    assert done.returncode == ExitCode.OUTPUT
    assert "no space left on the disk for the outputs: one has 3.0 MiB" in done.stderr
    assert [path.name for path in small_disk.iterdir()] == []
