"""Measures `renderer watch`: the time from saving to the video of the changed play and to the film, and CPU seconds.

    .venv/bin/python benchmarks/watch.py [--runs 5] [--quality l]

The scene has sixty plays, of which each run changes one. "cold" is a render without a cache. CPU seconds are those of
all processes, so that they do not depend on what else runs.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

RENDERER = Path(sys.executable).parent / "renderer"
SCENE = """
from manim import *

COLORS = {COLORS}


class Sixty(Scene):
    def construct(self):
        self.add(NumberPlane(), Text("sixty plays").to_edge(UP))
        for number in range(60):
            label = Text(f"play {{number}}", color=COLORS.get(number, WHITE))
            square = Square(color=COLORS.get(number, BLUE)).shift(DOWN)
            self.play(FadeIn(label), Rotate(square, PI / 2))
            self.remove(label, square)
"""
TIMEOUT_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quality", default="l")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), arguments.runs, arguments.quality)


def measure(folder: Path, runs: int, quality: str) -> None:
    project = folder / "project"
    project.mkdir()
    scene = project / "scene.py"
    scene.write_text(SCENE.format(COLORS={}))
    env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    command = [RENDERER, "watch", "scene.py", "Sixty", "--quality", quality]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        before = time.monotonic()
        watch = psutil.Popen(command, cwd=project, env=env, stdout=out, stderr=err)
        wait_for(folder / "err", "frames drawn", 1)
        cold_s, cold_cpu = time.monotonic() - before, cpu(watch)
        first, film, used = [], [], []
        for run in range(runs):
            start = cpu(watch)
            before = time.monotonic()
            scene.write_text(SCENE.format(COLORS={30: f"#FF00{run:02}"}))
            wait_for(folder / "out", "Sixty.changed.mp4", run + 1)
            first.append(time.monotonic() - before)
            wait_for(folder / "err", "frames drawn", run + 2)
            film.append(time.monotonic() - before)
            used.append(cpu(watch) - start)
        watch.send_signal(signal.SIGINT)
        watch.wait(TIMEOUT_S)
    median = statistics.median
    print(f"cold: {cold_s:.2f} s, {cold_cpu:.2f} CPU seconds")
    print(f"from saving to the changed play: {median(first):.2f} s")
    print(f"from saving to the film: {median(film):.2f} s, {median(used):.2f} CPU seconds", end=", ")
    print(f"{100 * median(used) / cold_cpu:.1f} % of the cold render's")


def cpu(watch: psutil.Process) -> float:
    """Return the CPU seconds of the command, of the process with Manim, and of all that these waited for."""
    processes = [watch, *watch.children()]
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def wait_for(file: Path, text: str, count: int) -> None:
    end = time.monotonic() + TIMEOUT_S
    while file.read_text().count(text) < count:
        if time.monotonic() > end:
            raise TimeoutError(file.read_text())
        time.sleep(0.01)


if __name__ == "__main__":
    main()
