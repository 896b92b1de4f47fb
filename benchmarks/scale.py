"""Prints what several shards of one scene cost together against one process, in CPU seconds.

    .venv/bin/python benchmarks/scale.py [--minutes 3] [--shards 8] [--quality m]

Each shard is a worker of its own with one core, and as many run at the same time as there are cores; the last one also
joins the clips. "One process" is a worker without shards. CPU seconds mean something on a busy machine as well.
"Imports" is what a worker costs that renders nothing. "Join" copies 120 clips of five seconds in 1080p60 into one file,
as the last shard does.
"Scenes of 2 s" are rendered in workers of their own, and as `--units-per-pod 25` does in one worker.
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

UNITS_PER_POD = 25
FILM = Path(__file__).parent / "scenes" / "film.py"


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one worker, and the film if it has joined one."""

    seconds: float
    film: bytes | None


def prepare(folder: Path, scene: str, quality: str, shards: int | None = None, path: Path = FILM) -> None:
    """Write what a submit would send to each shard, or to each pod; without a name, ``scene`` stands for all scenes."""
    folder.mkdir()
    settings = config.load(
        {"quality": quality, "shards": shards, "manim_options": ["--seed", "1"]}, environ={}
    ).settings
    job = spec.prepare(spec.RenderSpec(path=path, scenes=(scene,) if scene else (), every=not scene), settings).job
    (folder / "task.json").write_text(job.payload)
    (folder / "bundle").write_bytes(job.bundle.data)


def run_workers(workers: Sequence[tuple[Path, Sequence[int]]], minutes: float = 0) -> list[Cost]:
    """Run workers, each in its folder with these units, side by side on a core each; return what they cost."""
    cores = sorted(os.sched_getaffinity(0))
    with ThreadPoolExecutor(len(cores), initializer=lambda: os.sched_setaffinity(0, {cores.pop()})) as threads:
        return list(threads.map(lambda worker: _run_worker(*worker, minutes), workers))


def _run_worker(folder: Path, units: Sequence[int], minutes: float) -> Cost:
    """Run a worker on the core of this thread; return what it cost, with the film of its first unit."""
    files = ["--task", "task.json", "--bundle", "bundle", "--output", "units"]
    files += [word for unit in units for word in ("--unit", str(unit))]
    worker = subprocess.Popen(
        [sys.executable, "-I", "-m", "renderer.worker", *files],
        cwd=folder,
        env={**os.environ, "FILM_MINUTES": str(minutes)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    if worker.returncode:
        raise SystemExit(f"unit {units[0]} ended with exit code {worker.returncode}")
    films = list((folder / "units" / str(units[0]) / "files").glob("*.mp4"))
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
    parser.add_argument("--quality", default="m")
    parser.add_argument("--only", choices=["shards", "join", "units"], help="one of the three measurements")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if given.only in {None, "shards"}:
            print_shards(Path(work), given.minutes, given.shards, given.quality)
        if given.only in {None, "join"}:
            print_join(Path(work))
        if given.only in {None, "units"}:
            print_units(Path(work))


def print_shards(work: Path, minutes: float, shards: int, quality: str) -> None:
    """Render the film by one process and by shards, and print both.

    A core is slower while the other cores work. So one process has its turn three times among the shards.
    """
    prepare(work / "many", "Film", quality, shards)
    workers: list[tuple[Path, Sequence[int]]] = [(work / "many", [shard]) for shard in range(shards)]
    alone = [0, shards // 2 + 1, shards + 2]
    for place in alone:
        prepare(work / f"one-{place}", "Film", quality)
        workers.insert(place, (work / f"one-{place}", [0]))
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


def print_units(work: Path) -> None:
    """Print what short scenes cost in a pod for each, and in pods of ``UNITS_PER_POD``."""
    path = work / "project" / "short.py"
    path.parent.mkdir()
    play = "self.play(Create(Circle(1 + {0} / 99)), run_time=2)"
    scene = f"class Scene{{0}}(Scene):\n    def construct(self):\n        {play}\n"
    path.write_text("from manim import *\n" + "".join(scene.format(number) for number in range(UNITS_PER_POD)))
    for name in ("alone", "together"):
        prepare(work / name, "", "l", path=path)
    alone = statistics.mean(cost.seconds for cost in run_workers([(work / "alone", [unit]) for unit in range(6)]))
    together = run_workers([(work / "together", range(UNITS_PER_POD))])[0].seconds / UNITS_PER_POD
    print(f"a scene of 2 s       {alone:8.2f}  in a worker of its own")
    print(f"of {UNITS_PER_POD} in a worker   {together:8.2f}  {alone / together:.1f} times less")


def print_join(work: Path) -> None:
    """Print what it costs to join the clips of a film of ten minutes."""
    prepare(work / "still", "Still", "h")
    clip = work / "clip.mp4"
    clip.write_bytes(run_workers([(work / "still", [0])])[0].film or b"")
    encoding = VideoEncoderSpec("mp4", "libx264", "yuv420p", 1920, 1080, Fraction(60), ())
    started, before = time.perf_counter(), time.process_time()
    join_clips([Clip(clip, 5 * 60)] * 120, work / "film.mp4", encoding)
    cpu, size = time.process_time() - before, (work / "film.mp4").stat().st_size / 2**20
    print(
        f"join of ten minutes  {cpu:8.1f}  1080p60, {size:.0f} MiB, {time.perf_counter() - started:.1f} s of wall time"
    )


if __name__ == "__main__":
    main()
