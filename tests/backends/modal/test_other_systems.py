"""A client on Windows submits a job to Modal, waits for it, and downloads its outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support.commands import environment
from support.modal_server import FakeModal

TESTS = Path(__file__).parents[2]
CLI = "import sys; sys.argv[0] = 'renderer'; from renderer.cli import main; main()"
SCRIPT = """import os, sys
from pathlib import Path
print("said", Path("numbers/one.txt").read_text())
folder = Path(os.environ["RENDERER_OUTPUT_DIR"], "made")
folder.mkdir()
(folder / "sum.csv").write_bytes(b"1\\r\\n2\\n")
"""


def test_a_job_of_a_client_on_windows(
    fake: FakeModal, project: Path, script: Callable[[str], Path], tmp_path: Path
) -> None:
    script(SCRIPT)
    (project / "numbers").mkdir()
    (project / "numbers" / "one.txt").write_text("1")
    (tmp_path / "home").mkdir()
    variables = environment(tmp_path / "home", PYTHONPATH=str(TESTS), **fake.environment)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "support.other_system", "win32", "-c", CLI, *arguments]
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    sent = json.loads(run("submit", "job.py", "--backend", "modal", "--json"))
    assert (project / "renders" / "made" / "sum.csv").read_bytes() == b"1\r\n2\n"
    handle = sent["handle"]
    assert "said 1" in run("logs", handle)
    assert json.loads(run("status", handle, "--json"))["state"] == "succeeded"
    run("fetch", handle, "--output", "again", "--json")
    assert (project / "again" / "made" / "sum.csv").is_file()
    run("delete", handle)
