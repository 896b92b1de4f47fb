"""The programs in docs/how-to/serve.md and in examples/clients work as they stand there, also in other languages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.docs.pages import ROOT, blocks
from support.http_server import Server, serving

PAGE = ROOT / "docs" / "how-to" / "serve.md"


def written(language: str, server: Server) -> list[str]:
    texts = [block.text for block in blocks(PAGE) if block.language == language]
    assert texts
    assert all("http://localhost:8080" in text for text in texts)
    return [text.replace("http://localhost:8080", server.url) for text in texts]


def test_curl(server: Server, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "scene.py").write_text("import helper\nfrom manim import *\nclass Hello(Scene): pass\n")
    for text in written("sh", server):
        done = subprocess.run(["sh", "-ec", text], cwd=tmp_path, capture_output=True, text=True, check=True)
        job = json.loads(done.stdout)
        assert job["handle"].startswith("local://"), job
        assert server.wait(job["id"])["state"] == "succeeded"


def test_python(server: Server, tmp_path: Path) -> None:
    (code,) = written("python", server)
    (tmp_path / "client.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "client.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=600
    )
    assert "event: end" in done.stdout
    assert (tmp_path / "Hello.mp4").stat().st_size > 1000


CLIENTS = ROOT / "examples" / "clients"
PROGRAMS: dict[str, list[str | Path]] = {
    "curl": ["sh", CLIENTS / "render.sh"],
    "python": [sys.executable, CLIENTS / "render.py"],
    "javascript": ["node", CLIENTS / "render.mjs"],
    "java": ["java", CLIENTS / "Render.java"],
}
NEEDS = {"curl": ("curl", "jq"), "javascript": ("node",), "java": ("javac",)}  # javac: with it java runs source files
SCENE = """from manim import *

# \u201cquotes\u201d, "quotes", back\\slashes and a tab\t
class Hello(Scene):
    def construct(self):
        print("drawn by", "Hello", flush=True)
        self.play(Create(Circle()), run_time=0.2)
"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with a token."""
    with serving(tmp_path_factory.mktemp("user") / "home") as started:
        yield started, started.token("--name", "clients", "--trusted")


@pytest.mark.parametrize("language", PROGRAMS)
def test_program_in_another_language(language: str, closed: tuple[Server, str], tmp_path: Path) -> None:
    if missing := [name for name in NEEDS.get(language, ()) if not shutil.which(name)]:
        pytest.skip(f"{missing[0]} is not installed")
    server, token = closed
    (tmp_path / "my scene.py").write_text(SCENE, "utf-8")
    env = {**server.env, "SERVE_URL": server.url, "SERVE_TOKEN": token, "PYTHONUNBUFFERED": "1"}
    go = tmp_path / "go"
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\nprint('begun', flush=True)\nend = time.monotonic() + 300\n"
        f"while not pathlib.Path({str(go)!r}).exists() and time.monotonic() < end:\n    time.sleep(0.05)\n{SCENE}",
        "utf-8",
    )
    command = [*PROGRAMS[language], "slow.py", "Hello"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert "begun\n" in iter(program.stdout.readline, "")
        server.end()
        go.touch()
        server.start()
        assert "Hello.mp4" in program.stdout.read()
    assert program.returncode == 0

    def run(scene: str) -> subprocess.CompletedProcess[str]:
        command = [*PROGRAMS[language], "my scene.py", scene]
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, encoding="utf-8", check=False, timeout=600
        )

    done = run("Hello")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Hello.mp4\n")
    assert "drawn by Hello" in done.stdout
    assert (tmp_path / "Hello.mp4").read_bytes()[4:8] == b"ftyp"
    wrong = run("Missing")
    assert wrong.returncode != 0
    assert "scene.py has no scene 'Missing'" in wrong.stdout + wrong.stderr
