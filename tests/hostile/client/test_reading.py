"""Projects whose imports would keep the reading of their modules busy: it ends in time, or says why it cannot."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.commands import environment, renderer
from support.files import make

from backends.errors import SpecError
from renderer.scenes import find_imported_files, find_imported_scenes, find_scenes

CLASSES = "".join(f"class A{number}(Z{number}): pass\n" for number in range(2000))
STARS = "".join(f"from .m{number} import *\n" for number in range(24))
ABOVE = "".join(f"from {'.' * dots}x{number} import *\n" for number in range(1000) for dots in (5, 6))
BUSY = {
    "stars of each other": {"scene.py": "from p import *\n" + CLASSES, "p/__init__.py": STARS}
    | {f"p/m{number}.py": STARS for number in range(24)},
    "above the root": {"scene.py": ABOVE + CLASSES},
    "stars": {"scene.py": "".join(f"from x{number} import *\n" for number in range(3000)) + CLASSES},
    "deep names": {"scene.py": f"from {'.'.join('a' * 1000)} import {', '.join(f'b{n}' for n in range(5000))}\n"},
    "chain": {"scene.py": "".join(f"class A{number}(A{number + 1}): pass\n" for number in range(10_000))},
}
PLACES = "import sys\n" + "".join(f"sys.path.insert(0, 'd{number}')\n" for number in range(60))


@pytest.mark.parametrize("files", BUSY.values(), ids=BUSY)
def test_imports_do_not_keep_the_reading_busy(files: dict[str, str], tmp_path: Path) -> None:
    make(tmp_path, files)
    started = time.process_time()
    assert find_scenes(tmp_path / "scene.py", tmp_path) == []
    assert find_imported_scenes(tmp_path / "scene.py", tmp_path) == {}
    assert tmp_path / "scene.py" in find_imported_files(tmp_path / "scene.py", tmp_path)
    assert time.process_time() - started < 30


def test_too_many_modules_in_too_many_folders_are_refused(tmp_path: Path) -> None:
    names = ", ".join(f"b{number}" for number in range(10_000))
    make(tmp_path, {"scene.py": f"{PLACES}import {names}\n", **{f"d{number}/x.py": "" for number in range(60)}})
    started = time.process_time()
    with pytest.raises(SpecError, match="the project imports too many modules") as caught:
        find_imported_files(tmp_path / "scene.py", tmp_path)
    assert caught.value.hint
    assert time.process_time() - started < 60


@pytest.mark.parametrize("option", ["--over", "--requirements"])
def test_files_that_are_named_are_not_read_through_links_or_pipes_of_the_project(option: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    make(tmp_path, {"secret.txt": "the secret line\n"})
    make(project, {"job.py": "", ".rendererignore": "named.txt\n", "more/inside.txt": "six\n"})
    env = environment(tmp_path / "home")
    command = ["map" if option == "--over" else "submit", "job.py", option]
    named = project / "named.txt"
    named.symlink_to("../secret.txt")
    refused = renderer(*command, "named.txt", "--dry-run", cwd=project, env=env)
    assert refused.returncode == 2
    assert "named.txt leads through a link, to" in refused.stderr
    assert "the secret line" not in refused.stdout + refused.stderr
    named.unlink()
    os.mkfifo(named)
    refused = renderer(*command, "named.txt", "--dry-run", cwd=project, env=env)
    assert refused.returncode == 2
    assert "named.txt is not a regular file" in refused.stderr
    named.unlink()
    named.symlink_to("more/inside.txt")
    assert renderer(*command, "named.txt", "--dry-run", cwd=project, env=env).returncode == 0
    assert renderer(*command, "more/../more/inside.txt", "--dry-run", cwd=project, env=env).returncode == 0
