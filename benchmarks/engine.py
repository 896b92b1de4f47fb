"""Measures the engine against plain `manim render`: wall time, CPU seconds, memory, PSNR and size, as one table.

    .venv/bin/python benchmarks/engine.py [--runs 5] [--quality h] [--quality m] [--scenes Formulas,Geometry]

The ways take turns, each in a fresh process, imports included; the table gives medians. "ours exact" has Manim's
encoder settings, "ours" the default ones, "ours keeping" fills an empty segment cache besides, and "ours again" finds
all segments there. PSNR is against a lossless encoding of the same frames. `--short 20` measures a job of short scenes
instead.
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
from dataclasses import dataclass
from math import prod
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCENES = HERE / "scenes" / "reference.py"
REFERENCE = ["Formulas", "Geometry", "Surface3D", "SixtyPlays"]
MANIM = Path(sys.executable).parent / "manim"
WAYS = ["manim", "manim x4", "ours exact", "ours", "ours keeping", "ours again"]


@dataclass(frozen=True)
class Run:
    wall: float
    cpu: float
    memory: float
    video: Path | None = None


def command(way: str, scene: str, quality: str, folder: Path) -> list[str]:
    """Give the command line of one way to render a scene."""
    if way.startswith("ours"):
        preset = "manim" if way == "ours exact" else "fast"
        cache = [str(folder.parent.parent / f"cache-{folder.name}")] if way in {"ours keeping", "ours again"} else []
        if way == "ours keeping":
            shutil.rmtree(cache[0], ignore_errors=True)
        return [*ours(scene, quality, preset, folder), *cache]
    inflight = ["--max-inflight-encoders", "4"] if way == "manim x4" else []
    return [*plain(scene, quality, folder), *inflight]


def ours(scenes: str, quality: str, preset: str, folder: Path) -> list[str]:
    return [sys.executable, "-W", "ignore", str(HERE / "render.py"), str(SCENES), scenes, quality, preset, str(folder)]


def plain(scene: str, quality: str, folder: Path) -> list[str]:
    quiet = ["--progress_bar", "none", "--silent", "--seed", "1"]
    return [str(MANIM), "render", "-q", quality, *quiet, "--media_dir", str(folder), str(SCENES), scene]


def measure(arguments: list[str]) -> Run:
    """Run a program; count the wall time, the CPU seconds and the peak memory of its whole family."""
    started = time.monotonic()
    child = subprocess.Popen(arguments, env={**os.environ, "PYTHONHASHSEED": "0"}, stdout=subprocess.DEVNULL)
    peak = 0.0
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, family_memory(child.pid))
        time.sleep(0.2)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{arguments} ended with {child.returncode}")
    return Run(time.monotonic() - started, usage.ru_utime + usage.ru_stime, peak)


def family_memory(pid: int) -> float:
    """Sum the proportional set sizes of a process and its descendants, in MiB."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)
    return (int(own[1]) / 1024 if own else 0.0) + sum(family_memory(int(child)) for child in children)


def psnr(video: Path, lossless: Path) -> float:
    """Compare with the lossless frames, in dB."""
    graph = ["-lavfi", "[0:v][1:v]psnr", "-f", "null", "-"]
    done = subprocess.run(["ffmpeg", "-i", video, "-i", lossless, *graph], capture_output=True, text=True, check=True)
    return float(re.findall(r"average:(\S+)", done.stderr)[-1])


def render(way: str, scene: str, quality: str, work: Path) -> Run:
    folder = work / way / f"{scene}-{quality}"
    shutil.rmtree(folder, ignore_errors=True)
    run = measure(command(way, scene, quality, folder))
    (video,) = [path for path in folder.rglob(f"{scene}.mp4") if "partial_movie_files" not in path.parts]
    return Run(run.wall, run.cpu, run.memory, video)


def lossless(scene: str, quality: str, work: Path) -> Path:
    folder = work / "lossless" / f"{scene}-{quality}"
    options = ["--encoder-option", "qp=0", "--encoder-option", "preset=ultrafast"]
    command = [*plain(scene, quality, folder)[:-2], *options, str(SCENES), scene]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.rglob(f"{scene}.mp4"))


def table(scene: str, quality: str, runs: dict[str, list[Run]], truth: Path) -> dict[str, float]:
    """Print the rows of a scene; give each way's wall time as a ratio to Manim's best, and ours of CPU."""
    ratios = {}
    base = {key: statistics.median(getattr(run, key) for run in runs["manim"]) for key in ("wall", "cpu", "memory")}
    for way, found in runs.items():
        wall, cpu, memory = (statistics.median(getattr(run, key) for run in found) for key in base)
        video = found[-1].video
        assert video
        ratios[way] = base["wall"] / wall
        ratios[f"{way} cpu"] = cpu / base["cpu"]
        print(
            f"| {scene} {quality} | {way} | {wall:.2f} | {cpu:.2f} | {memory:.0f} | {psnr(video, truth):.1f} "
            f"| {video.stat().st_size / 1000:.0f} | {ratios[way]:.2f}x | {memory / base['memory']:.2f} |",
            flush=True,
        )
    return ratios


def compare(args: argparse.Namespace, work: Path) -> None:
    print("| scene | way | wall s | CPU s | memory MiB | PSNR dB | kB | speed | memory |")
    print("|---" * 9 + "|")
    found = []
    for quality in args.quality:
        for scene in args.scenes.split(","):
            runs: dict[str, list[Run]] = {way: [] for way in args.ways.split(",")}
            for _ in range(args.runs):
                for way, found_runs in runs.items():
                    found_runs.append(render(way, scene, quality, work))
            found.append(table(scene, quality, runs, lossless(scene, quality, work)))
    for key in found[0]:
        print(f"geometric mean, {key}: {prod(item[key] for item in found) ** (1 / len(found)):.2f}")


def short_scenes(args: argparse.Namespace, work: Path) -> None:
    """A job of short scenes against a shell loop of `manim render`."""
    names = [f"Short{number:02}" for number in range(args.short)]
    for _ in range(args.runs):
        loop = sum(measure(plain(name, "l", work / "loop")).wall for name in names)
        job = measure(ours(",".join(names), "l", "fast", work / "job")).wall
        print(
            f"{args.short} short scenes at 480p: loop {loop:.1f} s, one job {job:.1f} s, {loop / job:.1f}x", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quality", action="append", choices=["l", "m", "h", "k"])
    parser.add_argument("--scenes", default=",".join(REFERENCE))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--short", type=int, default=0)
    args = parser.parse_args()
    args.quality = args.quality or ["h", "m"]
    with tempfile.TemporaryDirectory(prefix="engine-benchmark-") as folder:
        (short_scenes if args.short else compare)(args, Path(folder))


if __name__ == "__main__":
    main()
