"""Measures what renderer needs before and besides a render, compared with other programs in the same run.

    .venv/bin/python benchmarks/startup.py [--runs 5]

Each pair is measured in turn (A B A B …), each time in new processes and with an empty chunk cache; the table has
medians of the time on the clock and of the CPU time of all processes. "first frame" ends when the job's log says that
the first frames are drawn.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from cpu_time import read_cpu, wait_for_orphans

from backends.processes import adopt_orphans
from renderer.bundle.pack import pack

BIN = Path(sys.executable).parent
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "hello.py"
SCENE = "from manim import *\nclass Quick(Scene):\n    def construct(self):\n        self.play(Create(Circle()))\n"
IMPORT = ["python", "-c", "import manim"]
MANIM = ["manim", "render", "--progress_bar", "none", "--disable_caching", "--media_dir", "media", "-q", "l"]
SUBMIT = ["renderer", "submit", "-q", "l"]


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and CPU seconds of all processes."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    adopt_orphans()  # a job's supervisor counts as a child, too
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "quick.py").write_text(SCENE)
        shutil.copy(EXAMPLE, folder)
        os.environ.update({f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CACHE")})
        print("| what | against | s | its s | ratio | CPU s | its CPU s | ratio |\n" + "|---" * 8 + "|")
        compare("renderer --help", ["renderer", "--help"], ["python", "-c", "pass"], folder, runs)
        compare("renderer list", ["renderer", "list"], IMPORT, folder, runs)
        compare("renderer submit --dry-run", [*SUBMIT, "hello.py", "--dry-run"], IMPORT, folder, runs)
        compare("first frame of hello.py", [*SUBMIT, "hello.py"], IMPORT, folder, runs, measure=until_first_frame)
        compare("one short scene", [*SUBMIT, "quick.py"], [*MANIM, "quick.py"], folder, runs)
        compare("one still", [*SUBMIT, "-s", "quick.py"], [*MANIM, "-s", "quick.py"], folder, runs)
        main_file = write_thousand_files(folder / "many")
        seconds = [measure_call(lambda: pack(main_file.parent, main=main_file, limit=1 << 30)) for _ in range(5 * runs)]
    print(f"\nbundle of 1,000 small files: {statistics.median(seconds):.3f} s")


def compare(
    what: str,
    ours: list[str],
    peer: list[str],
    folder: Path,
    runs: int,
    *,
    measure: Callable[[list[str], Path], Cost] | None = None,
) -> None:
    """Print a row with the medians of both programs, and how ours compares."""
    found = []
    for run in range(runs + 1):
        pair = [(measure or until_end)(ours, folder), until_end(peer, folder)]
        if run:  # the first pair fills the caches of the system, of Python and of TeX
            found.append(pair)
    walls, cpus = (
        [statistics.median(getattr(pair[at], key) for pair in found) for at in (0, 1)] for key in ("wall", "cpu")
    )
    cells = [f"{value:.2f}" for mine, its in (walls, cpus) for value in (mine, its, mine / its)]
    shown = " ".join(peer[: 3 if peer[0] == "python" else 2])
    print(f"| {what} | `{shown}` | " + " | ".join(cells) + " |", flush=True)


def until_end(command: list[str], folder: Path) -> Cost:
    """Run a program and return what it cost."""
    clear_chunks(folder)
    before, started = read_cpu(), time.perf_counter()
    subprocess.run([BIN / command[0], *command[1:]], cwd=folder, check=True, capture_output=True)
    wall = time.perf_counter() - started
    wait_for_orphans()
    return Cost(wall, read_cpu() - before)


def until_first_frame(command: list[str], folder: Path) -> Cost:
    """Submit a job, and return the time until its log says that frames are drawn, and the CPU time until then."""
    clear_chunks(folder)
    jobs = folder / "state" / "manim-renderer" / "jobs"
    shutil.rmtree(jobs, ignore_errors=True)
    before, started = read_cpu(), time.perf_counter()
    submit = subprocess.Popen(
        [BIN / command[0], *command[1:]], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not any(b"openjd_" in log.read_bytes() for log in jobs.glob("*/work/units/0/log.txt")):
        if submit.poll():
            raise SystemExit(f"{command} ended with {submit.returncode}")
        time.sleep(0.005)
    cost = Cost(time.perf_counter() - started, read_running_cpu() + read_cpu() - before)
    submit.wait()
    wait_for_orphans()
    return cost


def read_running_cpu() -> float:
    """Return the CPU seconds of all processes that run below this one, and of those that they waited for."""
    seconds = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended in the meantime
            seconds += sum(process.cpu_times()[:4])
    return seconds


def clear_chunks(folder: Path) -> None:
    shutil.rmtree(folder / "cache" / "manim-renderer" / "segments", ignore_errors=True)


def measure_call(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def write_thousand_files(folder: Path) -> Path:
    for index in range(1000):
        path = folder / f"part{index % 20}" / f"file{index}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{index}\n" * 100)
    (folder / "main.py").write_text("print(1)\n")
    return folder / "main.py"


if __name__ == "__main__":
    main()
