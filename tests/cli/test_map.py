"""`renderer map` and `renderer retry` as a user runs them, on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import BIN, SMALL, output
from support.processes import until

Run = Callable[..., subprocess.CompletedProcess[str]]
ENDS = """\
import os, sys, time
match sys.argv[1]:
    case "fails": raise ValueError("bad")
    case "hangs": time.sleep(600)
    case "killed": os.kill(os.getpid(), 9)
print("done", sys.argv[1])
"""
WAITS = "import time\ntime.sleep(600)\n"
TWO = """\
from manim import *
class Good(Scene):
    def construct(self): self.wait(0.1)
class Bad(Scene):
    def construct(self): raise ValueError("bad")
"""


def rows(project: Path) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in (project / "renders" / "results.jsonl").read_text("utf-8").splitlines()]
    return {str(row["input"]): row for row in found}


def test_each_end_of_an_input_is_one_sentence(project: Path, run: Run) -> None:
    (project / "ends.py").write_text(ENDS)
    (project / "inputs.txt").write_text("fails\nhangs\nkilled\nfine\n")
    done = run("map", "ends.py", "--over", "inputs.txt", "--timeout", "15s", "--json")
    assert done.returncode == 10, done
    assert [unit["state"] for unit in output(done)["units"]] == ["failed"] * 3 + ["succeeded"]
    found = rows(project)
    assert {name: (row["exit_code"], row["message"]) for name, row in found.items()} == {
        "fails": (10, "0-fails ended with exit code 1"),
        "hangs": (124, "1-hangs took longer than the time limit of 15 s"),
        "killed": (16, "2-killed was ended by SIGKILL"),
        "fine": (0, None),
    }
    log = run("logs", output(done)["handle"]).stdout
    assert "3-fine | done fine\n" in log
    (project / "ends.py").write_text("")
    again = run("retry", output(done)["handle"])
    assert again.returncode == 0, again
    assert {name: row["state"] for name, row in rows(project).items()} == dict.fromkeys(found, "succeeded")
    assert rows(project)["fine"] == found["fine"]


def test_many_inputs_are_counted_and_only_the_first_failures_shown(project: Path, run: Run) -> None:
    (project / "odd.py").write_text("import sys\nsys.exit(int(sys.argv[1]) % 2)\n")
    done = run("map", "odd.py", "--over", "range:24")
    assert (done.returncode, done.stdout) == (10, "renders/results.jsonl\n")
    handle = next(line.split()[1] for line in done.stderr.splitlines() if line.startswith("submitted"))
    shown = run("status", handle).stdout
    assert "  24 of 24 ended: 12 succeeded, 12 failed\n" in shown
    assert shown.count("ended with exit code 1") == 10
    assert len(rows(project)) == 24


def test_after_ctrl_c_a_map_goes_on_and_can_be_ended(project: Path, run: Run, env: dict[str, str]) -> None:
    (project / "waits.py").write_text(WAITS)
    options = ["--over", "range:1000", "--parallelism", "1", "--env", "X=1"]
    with subprocess.Popen(
        [BIN / "renderer", "map", "waits.py", *options],
        cwd=project,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        until(lambda: bool(output(run("list", "--json"))))
        (job,) = output(run("list", "--json"))
        until(lambda: output(run("status", job["handle"], "--json"))["units"][0]["state"] == "running")
        client.send_signal(signal.SIGINT)
        assert client.wait(600) == 130
    assert output(run("status", job["handle"], "--json"))["state"] == "running"
    assert run("cancel", job["handle"]).returncode == 0
    status = output(run("status", job["handle"], "--json"))
    assert {unit["state"] for unit in status["units"]} == {"cancelled"}
    refused = run("retry", job["handle"], "--dry-run")
    assert "the job had the variable X, and values of variables are not kept" in refused.stderr
    assert "→ give it again: --env X=VALUE" in refused.stderr
    assert run("retry", job["handle"], "--dry-run", "--env", "X=2").returncode == 0
    assert run("delete", job["handle"]).returncode == 0


@pytest.mark.slow
def test_retry_runs_the_scenes_that_failed(project: Path, run: Run) -> None:
    (project / "two.py").write_text(TWO)
    done = run("submit", "two.py", "--all", *SMALL, "--json")
    assert done.returncode == 10, done
    (project / "two.py").write_text(TWO.replace('raise ValueError("bad")', "self.wait(0.1)"))
    again = run("retry", output(done)["handle"])
    assert (again.returncode, again.stdout) == (0, "renders/Bad.mp4\n")
    handle = next(line.split()[1] for line in again.stderr.splitlines() if line.startswith("submitted"))
    assert "nothing of" in run("retry", handle).stderr
    assert "there is no job" in run("retry", f"{handle}0").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--over", "no.jsonl"), "there is no file no.jsonl"),
        (("--over", "range:2", "--max-failed", "-1"), "--max-failed"),
        ((), "--over"),
    ],
)
def test_a_wrong_map_leaves_nothing(project: Path, run: Run, arguments: tuple[str, ...], message: str) -> None:
    (project / "script.py").write_text("")
    done = run("map", "script.py", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert output(run("list", "--json")) == []
    assert not (project / "renders").exists()
