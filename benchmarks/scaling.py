"""Measures the wall time of one scene on more and more cores: the engine, and plain Manim on the same cores.

    .venv/bin/python benchmarks/scaling.py [--scenes SixtyPlays,Surface3D] [--quality h] [--cores 1,2,4,8,16] [--runs 3]

The last column is the first way's time over the last way's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import engine


def main() -> None:
    available = sorted(os.sched_getaffinity(0))
    powers = [count for count in (1, 2, 4, 8, 16, 32, 64) if count < len(available)] + [len(available)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", default=",".join(engine.REFERENCE))
    parser.add_argument("--quality", default="h", choices=["l", "m", "h", "k"])
    parser.add_argument("--ways", default="manim x4,renderer exact,renderer")
    parser.add_argument("--cores", default=",".join(map(str, powers)))
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    ways = args.ways.split(",")
    print("| scene | cores | " + " s | ".join(ways) + " s | speed |")
    print("|---" * (len(ways) + 3) + "|")
    with tempfile.TemporaryDirectory(prefix="engine-scaling-") as folder:
        for scene in args.scenes.split(","):
            for cores in map(int, args.cores.split(",")):
                os.sched_setaffinity(0, available[:cores])
                print_row(scene, cores, args, Path(folder))


def print_row(scene: str, cores: int, args: argparse.Namespace, work: Path) -> None:
    runs: dict[str, list[float]] = {way: [] for way in args.ways.split(",")}
    for _ in range(args.runs):
        for way, walls in runs.items():
            walls.append(engine.render(way, scene, args.quality, work).wall)
    medians = [statistics.median(walls) for walls in runs.values()]
    times = " | ".join(f"{wall:.2f}" for wall in medians)
    print(f"| {scene} {args.quality} | {cores} | {times} | {medians[0] / medians[-1]:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
