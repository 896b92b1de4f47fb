"""Measures `renderer map` over many trivial inputs, beside `xargs -P2 python script.py`, in turn.

    .venv/bin/python benchmarks/map.py [--inputs 1000] [--runs 3]
    .venv/bin/python benchmarks/map.py --list [--jobs 10000]
    tests/support/cluster/with .venv/bin/python benchmarks/map.py --submit [--runs 5]

Without an option the times are those of whole commands, from start to end, with the results in a folder: seconds on the
clock, and seconds of CPU. With --list they are those of `renderer list` of so many jobs on this machine. With --submit
they are those of sending a map of so many inputs to the cluster, from the command to the line "submitted", and of
`kubectl apply` of the same manifest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cpu_time import read_cpu

BIN = Path(sys.executable).parent
SCRIPT = "import sys\nprint(int(sys.argv[1]) ** 2)\n"
MANAGED = "app.kubernetes.io/name=manim-renderer"
LIMIT, SUBMIT_LIMIT, LIST_LIMIT_S = 1.5, 1.05, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--submit", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        project = Path(name, "project")
        project.mkdir()
        (project / "square.py").write_text(SCRIPT)
        os.environ["XDG_STATE_HOME"] = str(Path(name, "state"))
        os.chdir(project)
        if arguments.list:
            list_jobs(Path(name, "state"), arguments.jobs, arguments.runs)
        elif arguments.submit:
            compare_submits(arguments.inputs, arguments.runs)
        else:
            compare(lambda: xargs(arguments.inputs), lambda: run_map(arguments.inputs), arguments.runs, LIMIT)


def compare(usual: Callable[[], None], ours: Callable[[], None], runs: int, limit: float) -> None:
    """Print the medians of two ways, which run in turn, and their ratios."""
    found = [(*measure(usual), *measure(ours)) for _ in range(runs + 1)][1:]  # the first pair warms caches
    for wall, cpu, our_wall, our_cpu in found:
        print(f"{wall:8.2f} s ({cpu:.2f} CPU) {our_wall:8.2f} s ({our_cpu:.2f} CPU)")
    wall, cpu, our_wall, our_cpu = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"ratio {our_wall / wall:.2f} on the clock, {our_cpu / cpu:.2f} of CPU (limit {limit})")


def measure(action: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds on the clock, and the CPU seconds of all processes that it waited for."""
    before = read_cpu()
    started = time.monotonic()
    action()
    wall = time.monotonic() - started
    return wall, read_cpu() - before


def xargs(inputs: int) -> None:
    numbers = "\n".join(map(str, range(inputs)))
    command = ["xargs", "-P2", "-n1", sys.executable, "square.py"]
    subprocess.run(command, input=numbers, text=True, stdout=subprocess.DEVNULL, check=True)


def run_map(inputs: int) -> None:
    command = [*map_command(inputs), "--parallelism", "2", "--output", "../results"]
    subprocess.run(command, capture_output=True, check=True)


def compare_submits(inputs: int, runs: int) -> None:
    found = []
    for run in range(runs + 1):
        planned = [*map_command(inputs), *cluster_options(f"theirs-{run}"), "--dry-run", "--json"]
        text = json.loads(subprocess.run(planned, check=True, capture_output=True).stdout)["request"]
        Path("../manifest.yaml").write_text(text)
        theirs = measure(lambda: until("created", ["kubectl", "apply", "-f", "../manifest.yaml"], count=2))
        command = [*map_command(inputs), *cluster_options(f"ours-{run}")]
        ours = measure(lambda command=command: until("submitted", command, count=1))
        subprocess.run(["kubectl", "delete", "job,configmap", "-l", MANAGED, "--wait"], check=True, capture_output=True)
        found.append((*theirs, *ours))
        print(f"{theirs[0]:8.2f} s ({theirs[1]:.2f} CPU) {ours[0]:8.2f} s ({ours[1]:.2f} CPU)")
    wall, cpu, our_wall, our_cpu = (statistics.median(column) for column in zip(*found[1:], strict=True))
    print(f"kubectl apply {wall:.2f} s ({cpu:.2f} CPU), renderer map {our_wall:.2f} s ({our_cpu:.2f} CPU)")
    print(f"ratio {our_wall / wall:.2f} on the clock, {our_cpu / cpu:.2f} of CPU (limit {SUBMIT_LIMIT})")


def list_jobs(state: Path, jobs: int, runs: int) -> None:
    """Print how long it takes to list so many jobs, copies of one that has succeeded."""
    subprocess.run([BIN / "renderer", "submit", "square.py", "--", "3"], check=True, capture_output=True)
    (one,) = (state / "manim-renderer" / "jobs").iterdir()
    for number in range(1, jobs):
        shutil.copytree(one, one.with_name(f"copy-{number:06x}"))
    found = []
    for _ in range(runs + 1):
        found.append(measure(lambda: subprocess.run([BIN / "renderer", "list"], check=True, capture_output=True)))
        print(f"{found[-1][0]:8.2f} s ({found[-1][1]:.2f} CPU)")
    wall, cpu = (statistics.median(column) for column in zip(*found[1:], strict=True))  # the first warms caches
    print(f"renderer list of {jobs} jobs {wall:.2f} s ({cpu:.2f} CPU; limit {LIST_LIMIT_S} s)")


def until(word: str, command: list[str | Path], *, count: int) -> None:
    """Wait until the command has printed so many lines with the word, and end it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            count -= word in line
            if not count:
                process.kill()  # it would wait for the job
                return
    raise SystemExit(f"{command} failed")


def map_command(inputs: int) -> list[str | Path]:
    return [BIN / "renderer", "map", "square.py", "--over", f"range:{inputs}"]


def cluster_options(name: str) -> list[str]:
    return [
        "--backend",
        "k8s",
        "--gpu",
        "none",
        "--image",
        "registry.invalid/none",
        "--parallelism",
        "1",
        "--name",
        name,
    ]


if __name__ == "__main__":
    main()
