"""The client works on macOS and Windows: it imports, plans and downloads without what they do not have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest
from support.commands import environment, output
from support.files import make

from backends.exit_codes import ExitCode
from backends.untrusted.open_folder import is_plain_on_windows

TESTS = Path(__file__).parents[1]
CLI = "import sys; sys.argv[0] = 'renderer'; from renderer.cli import main; main()"
STREAM = """
import io, os, sys
from pathlib import Path
from backends import output_stream
from backends.errors import OutputError
from backends.untrusted import open_beneath
from backends.untrusted.state_files import lock_state, read_state, write_state

here = Path(sys.argv[1])
stream = b"".join(output_stream.send(here / "sent", output_stream.build_header(here / "sent"), 0))
names = [entry.path for entry in output_stream.unpack(io.BytesIO(stream), here / "received")]
assert names == ["a.txt", "sub/b.txt"], names
assert (here / "received" / "sub" / "b.txt").read_bytes() == b"1\\r\\n2"
for name in ("link", "linked/b.txt", "missing/b.txt", "con/aux", "a.txt:stream", "C:x"):
    try:
        open_beneath(here / "odd", name)
    except (OutputError, FileNotFoundError, OSError) as error:
        print(type(error).__name__)
write_state(here / "state" / "file", b"x")
assert read_state(here / "state" / "file") == b"x"
with lock_state(here / "state" / "lock"):
    print(sys.platform)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run code as another system shows itself to our modules."""
    make(
        tmp_path / "project",
        {"scenes/film.py": "from manim import *\nclass Film(Scene): ...\n", "manim.cfg": "", "main.py": ""},
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "kubeconfig").write_text("{}")

    def call(platform: str, code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "support.other_system", platform, "-c", code, *arguments]
        variables = environment(tmp_path / "home", PYTHONPATH=str(TESTS), KUBECONFIG=str(tmp_path / "kubeconfig"))
        return subprocess.run(
            command, cwd=tmp_path / "project", env=variables, capture_output=True, text=True, check=False
        )

    return call


@pytest.mark.parametrize("backend", ["k8s", "modal"])
def test_it_plans_the_same_job_as_on_linux(backend: str, run: Run) -> None:
    submit = ("submit", "scenes/film.py", "Film", "--backend", backend, "--image", "registry.example/x:1", "--dry-run")
    plans = [run(platform, CLI, *submit, "--json") for platform in ("linux", "win32", "darwin")]
    assert [plan.returncode for plan in plans] == [0, 0, 0], plans
    first, *others = map(output, plans)
    assert first["files"] == ["main.py", "manim.cfg", "scenes/film.py"]
    assert others == [first, first]


@pytest.mark.parametrize(("platform", "name"), [("win32", "Windows"), ("darwin", "macOS")])
def test_the_local_backend_says_what_it_needs(platform: str, name: str, run: Run) -> None:
    done = run(platform, CLI, "submit", "scenes/film.py", "Film")
    assert done.returncode == ExitCode.BACKEND
    assert done.stderr.startswith(f"renderer: the local backend needs Linux, and this is {name}\n  → ")
    assert len(done.stderr.splitlines()) == 2
    doctor = run(platform, CLI, "doctor")
    assert doctor.returncode == 0
    assert "they need Linux" in doctor.stdout
    for command in (
        ["scenes", "scenes/film.py"],
        ["config"],
        ["gpus"],
        ["manifest", "scenes/film.py", "--image", "x:1"],
    ):
        assert run(platform, CLI, *command).returncode == 0, command


def test_outputs_are_written_and_read_without_following_links(run: Run, tmp_path: Path) -> None:
    make(tmp_path / "sent", {"a.txt": "", "sub/b.txt": "1\r\n2"})
    (tmp_path / "received").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "link").symlink_to(tmp_path / "sent" / "a.txt")
    (tmp_path / "odd" / "linked").symlink_to(tmp_path / "sent" / "sub")
    for platform in ("win32", "linux"):
        done = run(platform, STREAM, tmp_path)
        assert done.returncode == 0, done.stderr
        *errors, last = done.stdout.split()
        assert last == platform
        assert errors[:3] == ["OutputError", "OutputError", "FileNotFoundError"]
        assert len(errors) == 6
        (tmp_path / "received").rename(tmp_path / f"received-{platform}")
        (tmp_path / "received").mkdir()


def test_names_that_lead_elsewhere_on_windows_are_known() -> None:
    assert all(map(is_plain_on_windows, ["Film.mp4", "über film.srt", ".hidden", "console.txt"]))
    odd = ["C:x", "a:b", "NUL", "aux.txt", "a.", "a ", "x\\y", "\\\\server\\share", "a?b", "..", "C:", 'q"']
    assert not any(map(is_plain_on_windows, odd))
    assert PureWindowsPath("C:/in/sub/film.py").relative_to("C:\\in").as_posix() == "sub/film.py"
