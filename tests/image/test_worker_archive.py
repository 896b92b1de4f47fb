"""The worker as one file: it needs Python 3.8 and the standard library, and a POSIX shell."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from backends.exit_codes import ExitCode
from backends.image import worker_archive
from backends.image.archive_modules import MODULES
from backends.image.worker_archive import build_worker_archive

ROOT = Path(worker_archive.__file__).parents[2]
OPTIONAL = {"obstore"}  # the store's container of a bucket needs it, and says so


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a folder é") / "renderer-worker"
    path.write_bytes(build_worker_archive())
    return path


def test_its_modules_need_no_newer_python_and_nothing_but_the_standard_library(archive: Path, tmp_path: Path) -> None:
    for name, source in read_modules(archive).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    program = str(Path(sys.executable).with_name("vermin"))
    vermin = [program, "--target=3.8-", "--violations", "--no-tips", str(tmp_path)]
    done = subprocess.run(vermin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    imported = set()
    for path in tmp_path.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                assert not isinstance(node.args[1], ast.BinOp), f"{path}:{node.lineno}: a union needs Python 3.10"
    assert imported - set(sys.stdlib_module_names) == {"backends", "renderer", "renderer_modules", *OPTIONAL}


def test_it_is_kept_and_never_used_when_it_is_damaged_or_of_other_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build = build_worker_archive.__wrapped__
    expected = build()
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    whole = kept.read_bytes()
    assert whole.endswith(expected)
    for damaged in (b"", whole[:-1], whole[:-1] + b"x", b"x" * 32 + whole[32:]):
        kept.write_bytes(damaged)
        assert build() == expected
        assert kept.read_bytes() == whole
    kept.unlink()
    kept.mkdir()
    assert build() == expected


@pytest.mark.parametrize("engine", [False, True])
def test_it_has_every_module_of_ours_that_its_modules_import(engine: bool, tmp_path: Path) -> None:
    (tmp_path / "worker").write_bytes(build_worker_archive(engine=engine))
    modules = read_modules(tmp_path / "worker")
    names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules}
    trees = {name: ast.parse(source) for name, source in modules.items()}
    found = [
        f"{name} imports {node.module}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in {"backends", "renderer"}
        if node.module not in names
    ]
    assert [line for line in found if not line.startswith("renderer/worker/scenes.py") or engine] == []


def test_its_modules_are_those_here_without_docstrings_and_keep_their_lines(tmp_path: Path) -> None:
    (tmp_path / "worker").write_bytes(build_worker_archive(engine=True))
    for name, source in read_modules(tmp_path / "worker").items():
        if source and (ROOT / name).exists() and name.count("/") > 1:
            assert code_of(source) == code_of((ROOT / name).read_text()), name


def code_of(source: str) -> str:
    """Return the syntax tree with the numbers of the lines, without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                node.body[0] = ast.Pass()
            node.body = [each for each in node.body if not isinstance(each, ast.Pass)]
    return "\n".join(f"{getattr(node, 'lineno', 0)} {ast.dump(node)}" for node in ast.walk(tree))


def read_modules(archive: Path) -> dict[str, str]:
    """Return all modules of an archive, with those that import the others from it."""
    with zipfile.ZipFile(archive) as files:
        outer = {name: files.read(name).decode() for name in files.namelist()}
    inner: dict[str, str] = json.loads(outer.pop(MODULES))
    return outer | inner


SHOWS_A_TRACEBACK = """\
import sys, traceback
sys.path.insert(0, sys.argv[1])
from renderer.model import WorkerPayload
try:
    WorkerPayload.from_json(7)
except Exception:
    traceback.print_exc()
"""


def test_tracebacks_show_the_lines_of_its_modules(archive: Path) -> None:
    command = [sys.executable, "-I", "-c", SHOWS_A_TRACEBACK, str(archive)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert f'File "{archive}/renderer/model.py", line' in shown
    assert "content: dict[str, Any] = json.loads(text)" in shown
    missing = subprocess.run(["sh", archive, "backends.nothing"], capture_output=True, text=True, check=False)
    assert "No module named backends.nothing" in missing.stderr


def start(archive: Path, folder: Path, *pythons: str) -> subprocess.CompletedProcess[str]:
    """Run the worker where these programs, given as shell scripts by name, are all that is on PATH."""
    for program in pythons:
        name, _, text = program.partition(":")
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["/bin/sh", archive, "renderer.worker", "--help"],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_takes_the_first_python_that_is_new_enough(archive: Path, tmp_path: Path) -> None:
    done = start(archive, tmp_path, "python:echo 2.7", f'python3:exec "{sys.executable}" "$@"')
    assert done.stdout.startswith("usage: "), done
    assert not done.stderr


def test_its_end_is_heard_while_it_starts(archive: Path, tmp_path: Path) -> None:
    """With a code of its own: the first process of a container does not end by a signal that it does not handle."""
    assert start(archive, tmp_path, "python:kill -TERM $PPID; echo 3.11").returncode == ExitCode.TERMINATED
    ends = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    command = ["sh", str(archive), "code", "-q"]
    assert subprocess.run(command, input=ends, text=True, check=False).returncode == ExitCode.TERMINATED
