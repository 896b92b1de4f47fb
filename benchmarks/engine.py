"""Measures the engine against plain `manim render`: wall time, CPU seconds, memory, PSNR and size, as one table.

    .venv/bin/python benchmarks/engine.py [--runs 5] [--quality h] [--quality m] [--scenes Formulas,Geometry]

Each run has two cores of its own (`--cores`); where the machine has more, runs go side by side. Within a run the ways
to render take turns, each in a new process, imports included; the table gives medians. "renderer exact" has Manim's
encoder settings, "renderer" the default ones, "renderer empty cache" fills the chunk cache besides, and
"renderer full cache" finds all chunks there. PSNR is against a lossless encoding of the same frames. `--short 20`
measures a job of short scenes instead.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from backends.processes import LARGE_PAGES

HERE = Path(__file__).resolve().parent
SCENES = HERE / "scenes" / "reference.py"
REFERENCE = ["Formulas", "Geometry", "Surface3D", "SixtyPlays"]
MANIM = Path(sys.executable).parent / "manim"
WAYS = ["manim", "manim x4", "renderer exact", "renderer", "renderer empty cache", "renderer full cache"]


class Cores:
    """The machine's cores in groups; each measured program has one group alone."""

    def __init__(self, each: int) -> None:
        mine = sorted(os.sched_getaffinity(0))
        groups = [set(mine[first : first + each]) for first in range(0, len(mine) - each + 1, each)] or [set(mine)]
        self._free: SimpleQueue[set[int]] = SimpleQueue()
        for group in groups:
            self._free.put(group)
        self._threads = ThreadPoolExecutor(len(groups))

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self._threads.submit(self._run, work, arguments)

    def _run(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        group = self._free.get()
        os.sched_setaffinity(0, group)  # this thread's, and so its children's
        try:
            return work(*arguments)
        finally:
            self._free.put(group)


@dataclass(frozen=True)
class Run:
    wall: float
    cpu: float
    memory: float
    video: Path | None = None


def make_command(way: str, scene: str, quality: str, folder: Path) -> list[str]:
    """Return the command line of one way to render a scene."""
    if way.startswith("renderer"):
        preset = "manim" if way == "renderer exact" else "fast"
        cache = [str(folder.parent.parent / f"cache-{folder.name}")] if way.endswith("cache") else []
        if way == "renderer empty cache":
            shutil.rmtree(cache[0], ignore_errors=True)
        return [*engine_command(scene, quality, preset, folder), *cache]
    inflight = ["--max-inflight-encoders", "4"] if way == "manim x4" else []
    return [*manim_command(scene, quality, folder), *inflight]


def engine_command(scenes: str, quality: str, preset: str, folder: Path) -> list[str]:
    variables = [f"{name}={value}" for name, value in LARGE_PAGES.items()]
    program = ["env", *variables, sys.executable, "-W", "ignore", str(HERE / "render.py")]
    return [*program, str(SCENES), scenes, quality, preset, str(folder)]


def manim_command(scene: str, quality: str, folder: Path) -> list[str]:
    quiet = ["--progress_bar", "none", "--silent", "--seed", "1"]
    return [str(MANIM), "render", "-q", quality, *quiet, "--media_dir", str(folder), str(SCENES), scene]


def measure(arguments: list[str]) -> Run:
    """Run a program; return wall time, CPU time (both in seconds) and peak memory (MiB) of all its processes."""
    started = time.monotonic()
    child = subprocess.Popen(arguments, env={**os.environ, "PYTHONHASHSEED": "0"}, stdout=subprocess.DEVNULL)
    peak = 0.0
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, sum_memory(child.pid))
        time.sleep(0.2)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{arguments} ended with {child.returncode}")
    return Run(time.monotonic() - started, usage.ru_utime + usage.ru_stime, peak)


def sum_memory(pid: int) -> float:
    """Return the sum of the proportional set sizes of a process and its descendants, in MiB."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)
    return (int(own[1]) / 1024 if own else 0.0) + sum(sum_memory(int(child)) for child in children)


def compute_psnr(video: Path, lossless: Path) -> float:
    """Return the PSNR against the lossless frames, in dB."""
    graph = ["-lavfi", "[0:v][1:v]psnr", "-f", "null", "-"]
    done = subprocess.run(["ffmpeg", "-i", video, "-i", lossless, *graph], capture_output=True, text=True, check=True)
    return float(re.findall(r"average:(\S+)", done.stderr)[-1])


def render_each_way(ways: list[str], scene: str, quality: str, work: Path) -> dict[str, Run]:
    """Render once in each way, one after the other; return what each cost."""
    return {way: render(way, scene, quality, work) for way in ways}


def render(way: str, scene: str, quality: str, work: Path) -> Run:
    folder = work / way / f"{scene}-{quality}"
    shutil.rmtree(folder, ignore_errors=True)
    run = measure(make_command(way, scene, quality, folder))
    (video,) = [path for path in folder.rglob(f"{scene}.mp4") if "partial_movie_files" not in path.parts]
    return Run(run.wall, run.cpu, run.memory, video)


def render_lossless(scene: str, quality: str, work: Path) -> Path:
    folder = work / "lossless" / f"{scene}-{quality}"
    options = ["--encoder-option", "crf=0", "--encoder-option", "preset=ultrafast"]
    command = [*manim_command(scene, quality, folder)[:-2], *options, str(SCENES), scene]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.rglob(f"{scene}.mp4"))


def print_rows(scene: str, quality: str, runs: dict[str, list[Run]], truth: Path) -> dict[str, float]:
    """Print the rows of a scene; return each way's speed and CPU time as ratios to Manim's."""
    ratios = {}
    base = {key: statistics.median(getattr(run, key) for run in runs["manim"]) for key in ("wall", "cpu", "memory")}
    for way, found in runs.items():
        wall, cpu, memory = (statistics.median(getattr(run, key) for run in found) for key in base)
        video = found[-1].video
        assert video
        ratios[way] = base["wall"] / wall
        ratios[f"{way} cpu"] = cpu / base["cpu"]
        print(
            f"| {scene} {quality} | {way} | {wall:.2f} | {cpu:.2f} | {memory:.0f} | {compute_psnr(video, truth):.1f} "
            f"| {video.stat().st_size / 1000:.0f} | {ratios[way]:.2f}x | {memory / base['memory']:.2f} |",
            flush=True,
        )
    return ratios


def compare(args: argparse.Namespace, work: Path) -> None:
    print("| scene | way | wall s | CPU s | memory MiB | PSNR dB | kB | speed | memory |")
    print("|---" * 9 + "|", flush=True)
    cores, ways = Cores(args.cores), args.ways.split(",")
    jobs = [(scene, quality) for quality in args.quality for scene in args.scenes.split(",")]
    runs = {
        job: [cores.submit(render_each_way, ways, *job, work / str(number)) for number in range(args.runs)]
        for job in jobs
    }
    truths = {job: cores.submit(render_lossless, *job, work) for job in jobs}
    found = []
    for job in jobs:
        turned = [run.result() for run in runs[job]]
        found.append(print_rows(*job, {way: [turn[way] for turn in turned] for way in ways}, truths[job].result()))
    for key in found[0]:
        print(f"geometric mean, {key}: {prod(item[key] for item in found) ** (1 / len(found)):.2f}")


def compare_short_scenes(args: argparse.Namespace, work: Path) -> None:
    """Print how long one job of short scenes takes, and a shell loop of `manim render`."""
    cores = Cores(args.cores)
    for run in [cores.submit(render_short_scenes, args.short, work / str(number)) for number in range(args.runs)]:
        loop, job = run.result()
        print(
            f"{args.short} short scenes at 480p: loop {loop:.1f} s, one job {job:.1f} s, {loop / job:.1f}x", flush=True
        )


def render_short_scenes(count: int, work: Path) -> tuple[float, float]:
    names = [f"Short{number:02}" for number in range(count)]
    loop = sum(measure(manim_command(name, "l", work / "loop")).wall for name in names)
    return loop, measure(engine_command(",".join(names), "l", "fast", work / "job")).wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quality", action="append", choices=["l", "m", "h", "k"])
    parser.add_argument("--scenes", default=",".join(REFERENCE))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--short", type=int, default=0)
    args = parser.parse_args()
    args.quality = args.quality or ["h", "m"]
    with tempfile.TemporaryDirectory(prefix="engine-benchmark-") as folder:
        (compare_short_scenes if args.short else compare)(args, Path(folder))


if __name__ == "__main__":
    main()
