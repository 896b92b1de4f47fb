"""Files that must be run to know their scenes, and what they try then."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import environment, renderer

SCENE = """
from manim import *
import os
try:
    open({marker!r}, "w").write("attacked")
except OSError:
    pass
def make(name):
    return type(name, (Scene,), {{"__doc__": os.environ.get("HOST_WORD", "clean")}})
for name in ("One", "Two"):
    globals()[name] = make(name)
"""


@pytest.mark.parametrize("words", [("--backend", "docker", "--image", "x"), ("--untrusted",)])
def test_submit_runs_no_code_here_for_a_job_that_is_kept_apart(words: tuple[str, ...], tmp_path: Path) -> None:
    marker, project = tmp_path / "attacked", tmp_path / "project"
    project.mkdir()
    (project / "scene.py").write_text(SCENE.format(marker=str(marker)))
    for more in ((), ("--all",), ("One",)):
        renderer("submit", "scene.py", *more, *words, "--dry-run", cwd=project, env=environment(tmp_path))
    renderer("scenes", "scene.py", "--untrusted", cwd=project, env=environment(tmp_path))
    assert not marker.exists()


def test_an_answer_that_the_file_wrote_itself_is_data(tmp_path: Path) -> None:
    answers = {
        "pipe": "os.mkfifo(answer)",
        "link": f"os.symlink({str(tmp_path / 'secret')!r}, answer)",
        "list": "open(answer, 'w').write('[1]')",
        "deep": "open(answer, 'w').write('[' * 100_000)",
        "names": 'open(answer, "w").write(\'{"scenes": [{"name": 1, "doc": {}}], "imported": {}}\')',
        "huge": "open(answer, 'w').truncate(2**33)",
    }
    (tmp_path / "secret").write_text('{"error": "a-secret"}')
    project = tmp_path / "project"
    project.mkdir()
    for name, text in answers.items():
        (project / f"{name}.py").write_text(
            "from manim import *\nimport os\nanswer = '../answer.json'\n"
            f"{text}\nos._exit(0)\nglobals()['A'] = type('A', (Scene,), {{}})\n"
        )
        done = renderer("scenes", f"{name}.py", cwd=project, env=environment(tmp_path))
        assert "a-secret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr, name
        assert len(done.stderr) < 1000
