"""Measures many detached jobs on this machine: their memory, and their time compared with one after another.

    .venv/bin/python benchmarks/waiting_jobs.py [--jobs 50]

Prints the largest memory of all processes together (PSS, which counts shared pages once) after the last of four jobs
was submitted, and after the last of 50; and the time from the first submit to the last job's end, against a loop that
waits for each job.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from backends.processes import adopt_orphans

RENDERER = Path(sys.executable).parent / "renderer"
SCENE = """from manim import *
class Turning(Scene):
    def construct(self):
        for _ in range(4):
            self.play(Rotate(Square(), PI), run_time=1)
"""
SUBMIT = [RENDERER, "submit", "turning.py", "--resolution", "1920x1080", "--fps", "60", "--disable_caching"]
FEW = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=50)
    count = parser.parse_args().jobs
    adopt_orphans()  # supervisors count as children, too
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "turning.py").write_text(SCENE)
        os.environ.update({f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CACHE")})
        few_mib, _ = submit_at_once(FEW, folder)
        mib, seconds = submit_at_once(count, folder)
        loop = submit_in_turn(count, folder)
    print("| jobs | memory MiB | of four | s | one after another s | ratio |\n" + "|---" * 6 + "|")
    print(f"| {count} | {mib:.0f} | {mib / few_mib:.2f} | {seconds:.1f} | {loop:.1f} | {seconds / loop:.2f} |")


def submit_at_once(count: int, folder: Path) -> tuple[float, float]:
    """Submit detached jobs. Return their largest memory once all are submitted, and the seconds until the end."""
    started = time.perf_counter()
    handles = []
    for _ in range(count):
        done = subprocess.run([*SUBMIT, "--detach", "--json"], cwd=folder, check=True, capture_output=True, text=True)
        handles.append(json.loads(done.stdout)["handle"])
    mib = 0.0
    with subprocess.Popen(
        [RENDERER, "wait", handles[-1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as wait:
        while wait.poll() is None:
            mib = max(mib, read_memory(wait.pid))
            time.sleep(0.1)
    for handle in handles:
        subprocess.run([RENDERER, "wait", handle], check=True, capture_output=True)
    return mib, time.perf_counter() - started


def submit_in_turn(count: int, folder: Path) -> float:
    """Submit jobs, each when the one before has ended; return the seconds."""
    started = time.perf_counter()
    for _ in range(count):
        subprocess.run(SUBMIT, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def read_memory(besides: int) -> float:
    """Return the MiB of all descendants but one."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        if process.pid != besides:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / 2**20


if __name__ == "__main__":
    main()
