"""Prints what several shards of one scene cost together against one process, in CPU seconds.

    .venv/bin/python benchmarks/scale.py [--minutes 3] [--shards 8] [--quality h]

Each shard is a worker of its own with one core, and as many run at the same time as there are cores; the last one also
joins the clips. "One process" is a worker without shards. CPU seconds mean something on a busy machine as well.
"Imports" is what a worker costs that renders nothing. "Join" copies 120 clips of five seconds in 1080p60 into one file,
as the last shard does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from cpu_time import read_cpu
from manim._config.video_encoder import VideoEncoderSpec

from renderer import config, spec
from renderer.video.concat import Clip, join_clips

FILM = Path(__file__).parent / "scenes" / "film.py"


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one worker, and the film if it has joined one."""

    seconds: float
    film: bytes | None


def prepare(folder: Path, scene: str, quality: str, shards: int | None = None) -> None:
    """Write what a submit would send to each shard."""
    folder.mkdir()
    settings = config.load(
        {"quality": quality, "shards": shards, "manim_options": ["--seed", "1"]}, environ={}
    ).settings
    job = spec.prepare(spec.RenderSpec(path=FILM, scenes=(scene,)), settings).job
    (folder / "task.json").write_text(job.payload)
    (folder / "bundle").write_bytes(job.bundle.data)


def run_workers(workers: Sequence[tuple[Path, int]], minutes: float = 0) -> list[Cost]:
    """Run workers, each in its folder with this unit, side by side on a core each; return what they cost."""
    cores = sorted(os.sched_getaffinity(0))
    with ThreadPoolExecutor(len(cores), initializer=lambda: os.sched_setaffinity(0, {cores.pop()})) as threads:
        return list(threads.map(lambda worker: _run_worker(*worker, minutes), workers))


def _run_worker(folder: Path, unit: int, minutes: float) -> Cost:
    """Run a worker on the core of this thread; return what it cost, with its film."""
    files = ["--task", "task.json", "--bundle", "bundle", "--output", "units", "--unit", str(unit)]
    worker = subprocess.Popen(
        [sys.executable, "-I", "-m", "renderer.worker", *files],
        cwd=folder,
        env={**os.environ, "FILM_MINUTES": str(minutes)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    if worker.returncode:
        raise SystemExit(f"unit {unit} ended with exit code {worker.returncode}")
    films = list((folder / "units" / str(unit) / "files").glob("*.mp4"))
    return Cost(usage.ru_utime + usage.ru_stime, films[0].read_bytes() if films else None)


def measure_imports() -> float:
    """Return the CPU seconds of a process that imports what a worker does."""
    before = read_cpu()
    code = "import renderer.worker.__main__; from renderer import engine; engine.warm_up()"
    subprocess.run([sys.executable, "-I", "-c", code], check=True, stdout=subprocess.DEVNULL)
    return read_cpu() - before


def main() -> None:
    """Render the film by one process and by shards, and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3, help="length of the film")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--quality", default="h")
    parser.add_argument("--only", choices=["shards", "join"], help="one of the two measurements")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if given.only in {None, "shards"}:
            print_shards(Path(work), given.minutes, given.shards, given.quality)
        if given.only in {None, "join"}:
            print_join(Path(work))


def print_shards(work: Path, minutes: float, shards: int, quality: str) -> None:
    """Render the film by one process and by shards, and print both.

    A core is slower while the other cores work. So one process has its turn three times among the shards.
    """
    prepare(work / "many", "Film", quality, shards)
    workers: list[tuple[Path, int]] = [(work / "many", shard) for shard in range(shards)]
    alone = [0, shards // 2 + 1, shards + 2]
    for place in alone:
        prepare(work / f"one-{place}", "Film", quality)
        workers.insert(place, (work / f"one-{place}", 0))
    costs = run_workers(workers, minutes)
    ones = [costs.pop(place) for place in reversed(alone)]
    one, total = statistics.mean(cost.seconds for cost in ones), sum(cost.seconds for cost in costs)
    longest = max(cost.seconds for cost in costs)
    imports = measure_imports()
    drawn = total - (shards - 1) * imports
    print(f"{minutes:g} minutes in quality {quality}, CPU seconds")
    print(f"one process          {one:8.1f}  mean of {', '.join(f'{cost.seconds:.1f}' for cost in ones)}")
    print(f"{shards} shards together {total:13.1f}  {total / one:.2f} times")
    print(f"without more imports {drawn:8.1f}  {drawn / one:.2f} times; {imports:.1f} for each")
    print(f"the longest shard    {longest:8.1f}  {longest / (one / shards):.2f} times its share")
    print(f"each shard           {' '.join(f'{cost.seconds:8.1f}' for cost in costs)}")
    print(f"the same film        {[cost.film for cost in costs if cost.film] == [ones[0].film]}")


def print_join(work: Path) -> None:
    """Print what it costs to join the clips of a film of ten minutes."""
    prepare(work / "still", "Still", "h")
    clip = work / "clip.mp4"
    clip.write_bytes(run_workers([(work / "still", 0)])[0].film or b"")
    encoding = VideoEncoderSpec("mp4", "libx264", "yuv420p", 1920, 1080, Fraction(60), ())
    started, before = time.perf_counter(), time.process_time()
    join_clips([Clip(clip, 5 * 60)] * 120, work / "film.mp4", encoding)
    cpu, size = time.process_time() - before, (work / "film.mp4").stat().st_size / 2**20
    print(
        f"join of ten minutes  {cpu:8.1f}  1080p60, {size:.0f} MiB, {time.perf_counter() - started:.1f} s of wall time"
    )


if __name__ == "__main__":
    main()
