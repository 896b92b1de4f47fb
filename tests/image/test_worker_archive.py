"""The worker as one file: it needs Python 3.8 and the standard library, and a POSIX shell."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from backends.image import worker_archive
from backends.image.worker_archive import build_worker_archive

ROOT = Path(worker_archive.__file__).parents[2]
OPTIONAL = {"obstore"}  # the store's container of a bucket needs it, and says so


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a folder é") / "renderer-worker"
    path.write_bytes(build_worker_archive())
    return path


def test_its_modules_need_no_newer_python_and_nothing_but_the_standard_library(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as modules:
        modules.extractall(tmp_path)
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
    assert imported - set(sys.stdlib_module_names) == {"backends", "renderer", *OPTIONAL}


@pytest.mark.parametrize("engine", [False, True])
def test_it_has_every_module_of_ours_that_its_modules_import(engine: bool, tmp_path: Path) -> None:
    (tmp_path / "worker").write_bytes(build_worker_archive(engine=engine))
    with zipfile.ZipFile(tmp_path / "worker") as modules:
        names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules.namelist()}
        trees = {name: ast.parse(modules.read(name)) for name in modules.namelist()}
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
    with zipfile.ZipFile(tmp_path / "worker") as modules:
        for name in modules.namelist():
            if (ROOT / name).exists() and (text := modules.read(name).decode()) and name != "renderer/__init__.py":
                assert code_of(text) == code_of((ROOT / name).read_text()), name


def code_of(source: str) -> str:
    """Return the syntax tree with the numbers of the lines, without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                node.body[0] = ast.Pass()
            node.body = [each for each in node.body if not isinstance(each, ast.Pass)]
    return "\n".join(f"{getattr(node, 'lineno', 0)} {ast.dump(node)}" for node in ast.walk(tree))


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
