"""Measures what a preview costs: CPU seconds of `renderer preview` against those of `renderer submit` without a cache.

    .venv/bin/python benchmarks/preview.py [--quality h] [--scenes Formulas,Geometry]

Each number is the sum over all processes of the job, so that it does not depend on what else runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cpu_time import read_cpu, wait_for_orphans

from backends.processes import adopt_orphans

SCENES = Path(__file__).resolve().parent / "scenes" / "reference.py"
REFERENCE = "Formulas,Geometry,Surface3D,SixtyPlays"
RENDERER = Path(sys.executable).parent / "renderer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", default="h")
    parser.add_argument("--scenes", default=REFERENCE)
    arguments = parser.parse_args()
    adopt_orphans()  # the job's supervisor counts as a child, too
    print(f"{'scene':<14}{'submit':>10}{'preview':>10}{'share':>9}")
    for scene in arguments.scenes.split(","):
        render, preview = (measure(command, scene, arguments.quality) for command in ("submit", "preview"))
        print(f"{scene:<14}{render:>8.1f} s{preview:>8.1f} s{100 * preview / render:>7.1f} %", flush=True)


def measure(command: str, scene: str, quality: str) -> float:
    """Return the CPU seconds of a command and of all processes of its job."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache", "XDG_STATE_HOME": f"{folder}/state"}
        before = read_cpu()
        words = [RENDERER, command, SCENES, scene, "--quality", quality, "--output", f"{folder}/out"]
        subprocess.run(words, env=env, cwd=folder, check=True, capture_output=True)
        wait_for_orphans()
        return read_cpu() - before


if __name__ == "__main__":
    main()
