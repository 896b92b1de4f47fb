"""Measures the time that renderer adds to a render, compared with other programs in the same run.

    .venv/bin/python benchmarks/startup.py [--runs 5]

Each pair is measured in turn (A B A B …), and the median of the differences is printed: machines are noisy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from renderer.bundle.pack import pack

BIN = Path(sys.executable).parent
SCENE = "from manim import *\nclass Quick(Scene):\n    def construct(self):\n        self.play(Create(Circle()))\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "quick.py").write_text(SCENE)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        print(f"{'what':<52} {'peer s':>10} {'renderer s':>10} {'added s':>10} {'limit s':>10}")
        _pair(
            "renderer --help against python -c pass",
            ["python", "-c", "pass"],
            ["renderer", "--help"],
            folder,
            5 * runs,
            0.08,
        )
        small = ["-r", "160,90", "--fps", "10", "--progress_bar", "none", "--disable_caching"]
        plain = ["manim", "render", *small, "--media_dir", str(folder / "media"), "quick.py", "Quick"]
        ours = ["renderer", "submit", "quick.py", "Quick", "-r", "160x90", "--fps", "10", "-o", str(folder / "out")]
        _pair("renderer submit against manim render", plain, ours, folder, runs, 0.5)
        main_file = _thousand_files(folder / "many")
        seconds = [_seconds(lambda: pack(main_file.parent, main=main_file, limit=1 << 30)) for _ in range(5 * runs)]
        print(f"{'bundle of 1,000 small files':<52} {'':>10} {statistics.median(seconds):10.3f} {'':>10} {0.3:10.3f}")


def _pair(what: str, peer: list[str], ours: list[str], folder: Path, runs: int, limit: float) -> None:
    found = []
    for run in range(runs + 1):
        pair = [_seconds(lambda command=command: _run(command, folder)) for command in (peer, ours)]
        if run:  # the first pair fills the caches
            found.append(pair)
    theirs, mine = (statistics.median(column) for column in zip(*found, strict=True))
    added = statistics.median(b - a for a, b in found)
    print(f"{what:<52} {theirs:10.3f} {mine:10.3f} {added:10.3f} {limit:10.3f}")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run([BIN / command[0], *command[1:]], cwd=folder, check=True, capture_output=True)


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _thousand_files(folder: Path) -> Path:
    for index in range(1000):
        path = folder / f"part{index % 20}" / f"file{index}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{index}\n" * 100)
    (folder / "main.py").write_text("print(1)\n")
    return folder / "main.py"


if __name__ == "__main__":
    main()
