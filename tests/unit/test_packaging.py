"""The wheel, its version, and what is imported when."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.commands import BIN

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


@pytest.mark.slow
def test_the_wheel_holds_exactly_the_packages_and_their_data(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = tracked("backends", "renderer") | {f"backends/_data/{name}" for name in tracked("docker", "k8s")}
    assert names == expected
    assert {"backends/py.typed", "renderer/py.typed"} <= names


@pytest.mark.slow
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
    code = "from backends.files import data_dir; print(*(data_dir(n).is_dir() for n in ('k8s', 'docker')))"
    found = subprocess.run([python, "-I", "-c", code], cwd=empty, capture_output=True, text=True, check=True)
    assert found.stdout == "True True\n"


COMMIT_TIME = 1_600_000_000


def git(*words: str, folder: Path) -> None:
    who = {
        f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    when = {f"GIT_{role}_DATE": f"{COMMIT_TIME} +0000" for role in ("AUTHOR", "COMMITTER")}
    subprocess.run(["git", *words], cwd=folder, env=os.environ | who | when, capture_output=True, check=True)


def repository(folder: Path, *names: str) -> Path:
    """Make a repository that holds these files of this one in a single commit."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git("init", "-q", folder=folder)
    git("add", "--all", folder=folder)
    git("commit", "-q", "-m", "all", folder=folder)
    return folder


def version(folder: Path) -> str:
    command = [sys.executable, "scripts/version.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("tag", "at_the_tag", "after_it"),
    [
        (None, "0.1.0.dev0", "0.1.0.dev0"),
        ("v1.2.9", "1.2.9", "1.2.10.dev0"),
        ("v2.0.0rc1", "2.0.0rc1", "2.0.0rc2.dev0"),
        ("vague", "0.1.0.dev0", "0.1.0.dev0"),
    ],
)
def test_the_version_is_the_tags(tag: str | None, at_the_tag: str, after_it: str, tmp_path: Path) -> None:
    folder = repository(tmp_path / "checkout", "scripts/version.py", ".gitattributes")
    if tag:
        git("tag", tag, folder=folder)
    assert version(folder) == at_the_tag
    git("archive", "--output", str(tmp_path / "source.zip"), "HEAD", folder=folder)
    shutil.unpack_archive(tmp_path / "source.zip", tmp_path / "unpacked")
    assert version(tmp_path / "unpacked") == at_the_tag
    git("commit", "-q", "--allow-empty", "-m", "one more", folder=folder)
    assert version(folder) == after_it
    git("clone", "-q", "--depth=1", "--no-tags", folder.as_uri(), str(tmp_path / "shallow"), folder=tmp_path)
    assert version(tmp_path / "shallow") == "0.1.0.dev0"


def dist(checkout: Path, umask: int) -> dict[str, bytes]:
    out = checkout.parent / "out"
    env = os.environ | {"RENDERER_UV": str(BIN / "uv")}
    subprocess.run([checkout / "scripts" / "dist", out], env=env, capture_output=True, check=True, umask=umask)
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.slow
def test_a_commit_gives_the_same_wheel_and_sdist_anywhere(tmp_path: Path) -> None:
    first = repository(tmp_path / "first" / "checkout", *tracked("."))
    git("tag", "v1.2.3", folder=first)
    second = tmp_path / "second" / "in another folder"
    git("clone", "-q", str(first), str(second), folder=tmp_path)
    (second / "not committed").write_text("")
    built = dist(first, 0o022)
    assert set(built) == {"manim_renderer-1.2.3-py3-none-any.whl", "manim_renderer-1.2.3.tar.gz"}
    assert dist(second, 0o077) == built
    with tarfile.open(first.parent / "out" / "manim_renderer-1.2.3.tar.gz") as packed:
        assert {member.mtime for member in packed.getmembers()} == {COMMIT_TIME}


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
