"""Measures what a preview costs: CPU seconds against those of `manim render` and of `renderer submit`, without a cache.

    .venv/bin/python benchmarks/preview.py [--quality h] [--scenes Formulas,Geometry]

Each number is the sum over all processes of the job, so that it does not depend on what else runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cpu_time import read_cpu, wait_for_orphans

from backends.processes import adopt_orphans

SCENES = Path(__file__).resolve().parent / "scenes" / "reference.py"
REFERENCE = "Formulas,Geometry,Surface3D,SixtyPlays"
BIN = Path(sys.executable).parent
MANIM = [BIN / "manim", "render", "--progress_bar", "none"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", default="h")
    parser.add_argument("--scenes", default=REFERENCE)
    arguments = parser.parse_args()
    adopt_orphans()  # the job's supervisor counts as a child, too
    print("| scene | `manim render` | `renderer submit` | `renderer preview` | of `manim render` | of `submit` |")
    print("|---" * 6 + "|")
    for scene in arguments.scenes.split(","):
        words = [SCENES, scene, "--quality", arguments.quality]
        manim = measure([*MANIM, *words])
        submit, preview = (measure([BIN / "renderer", command, *words]) for command in ("submit", "preview"))
        print(
            f"| {scene} | {manim:.1f} s | {submit:.1f} s | {preview:.1f} s "
            f"| {100 * preview / manim:.1f} % | {100 * preview / submit:.1f} % |",
            flush=True,
        )


def measure(words: Sequence[str | Path]) -> float:
    """Return the CPU seconds of a command and of all processes that it leaves behind."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache", "XDG_STATE_HOME": f"{folder}/state"}
        before = read_cpu()
        subprocess.run(words, env=env, cwd=folder, check=True, capture_output=True)
        wait_for_orphans()
        return read_cpu() - before


if __name__ == "__main__":
    main()
