"""Prints what several shards of one scene cost together against one process, in CPU seconds.

    .venv/bin/python benchmarks/scale.py [--minutes 3] [--shards 8] [--quality m]

Each shard is a worker of its own, one after the other, with one core; the last one also joins the clips. "One process"
is the same worker with one shard. CPU seconds mean something on a busy machine as well.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from renderer import config, spec

FILM = Path(__file__).parent / "scenes" / "film.py"


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one worker, and the film if it has joined one."""

    seconds: float
    film: bytes | None


def prepare(folder: Path, shards: int, quality: str) -> None:
    """Write what a submit would send to each shard."""
    folder.mkdir()
    settings = config.load(
        {"quality": quality, "shards": shards, "manim_options": ["--seed", "1"]}, environ={}
    ).settings
    job = spec.prepare(spec.RenderSpec(path=FILM, scenes=("Film",)), settings).job
    (folder / "task.json").write_text(job.payload)
    (folder / "bundle").write_bytes(job.bundle.data)


def run_shard(folder: Path, shard: int) -> Cost:
    """Run one shard on one core; return what it cost."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = ["--task", "task.json", "--bundle", "bundle", "--output", "units", "--unit", str(shard)]
    core = {min(os.sched_getaffinity(0))}
    subprocess.run(
        [sys.executable, "-I", "-m", "renderer.worker", *files],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, core),  # there is one thread
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    films = list((folder / "units" / str(shard) / "files").glob("Film.mp4"))
    return Cost(seconds, films[0].read_bytes() if films else None)


def main() -> None:
    """Render the film by one process and by shards, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3, help="length of the film")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--quality", default="m")
    given = parser.parse_args()
    os.environ["FILM_MINUTES"] = str(given.minutes)
    with tempfile.TemporaryDirectory() as work:
        for name, shards in (("one", 1), ("many", given.shards)):
            prepare(Path(work) / name, shards, given.quality)
        one = run_shard(Path(work) / "one", 0)
        costs = [run_shard(Path(work) / "many", shard) for shard in range(given.shards)]
    total, longest = sum(cost.seconds for cost in costs), max(cost.seconds for cost in costs)
    print(f"{given.minutes:g} minutes in quality {given.quality}, CPU seconds")
    print(f"one process          {one.seconds:8.1f}")
    print(f"{given.shards} shards together {total:13.1f}  {total / one.seconds:.2f} times")
    print(f"the longest shard    {longest:8.1f}  {longest / (one.seconds / given.shards):.2f} times its share")
    print(f"the same film        {costs[-1].film == one.film}")


if __name__ == "__main__":
    main()
