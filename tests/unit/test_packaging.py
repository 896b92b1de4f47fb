"""The wheel, and what is imported when."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.common import BIN

ROOT = Path(__file__).parents[2]
HEAVY = {"kubernetes", "modal", "manim", "numpy", "typer", "pydantic", "rich"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([BIN / "uv", "build", "-q", "--wheel", "--out-dir", folder, ROOT], check=True)
    (found,) = folder.glob("*.whl")
    return found


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_holds_exactly_the_packages_and_their_data(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = tracked("backends", "renderer") | {f"backends/_data/{name}" for name in tracked("docker", "k8s")}
    assert names == expected
    assert {"backends/py.typed", "renderer/py.typed"} <= names


def test_the_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([BIN / "uv", "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    locked = ["-c", str(ROOT / "requirements.txt")]
    subprocess.run([BIN / "uv", "pip", "install", "-q", "--python", python, *locked, wheel], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [tmp_path / "venv/bin/renderer", "--help"], cwd=empty, capture_output=True, text=True, check=True
    )
    assert "renderer submit scene.py MyScene" in done.stdout
    code = "from backends.data_files import data_dir; print(*(data_dir(n).is_dir() for n in ('k8s', 'docker')))"
    found = subprocess.run([python, "-I", "-c", code], cwd=empty, capture_output=True, text=True, check=True)
    assert found.stdout == "True True\n"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("from renderer.cli import run; run(['--help'])", set()),
        ("import renderer", set()),
        ("import renderer; renderer.submit", {"pydantic"}),
        ("from renderer.cli import run; run(['submit', '--help'])", {"pydantic", "typer", "rich"}),
    ],
)
def test_heavy_packages_are_imported_only_when_used(code: str, allowed: set[str]) -> None:
    tell = f"{code}\nimport sys\nprint('LOADED', *sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert loaded <= allowed
