"""The programs in docs/how-to/serve.md work as they stand there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.docs.pages import ROOT, blocks
from support.http_server import Server

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
        [sys.executable, "client.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    assert "event: end" in done.stdout
    assert (tmp_path / "Hello.mp4").stat().st_size > 1000
