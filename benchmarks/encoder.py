"""Searches settings for x264: encodes the same lossless frames with each, and prints CPU time, size, PSNR and SSIM.

    .venv/bin/python benchmarks/encoder.py [--settings NAME=OPTIONS …] [--frames 240] [--lossless FOLDER]

The scenes are the four reference scenes and the twelve of scenes/pictures.py, at 1080p60. `manim` has Manim's
settings and `renderer` those of renderer; all figures are ratios to `manim`'s, or decibels more than it. Only the
encoder's own time is counted, on one thread. `--lossless` is a folder for the frames, which are rendered where it does
not have them. The option `chunk` is the number of frames of a chunk, each of which begins with a complete frame.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np

HERE = Path(__file__).resolve().parent
SCENES = {
    "reference.py": ("Formulas", "Geometry", "Surface3D", "SixtyPlays"),
    "pictures.py": (
        *("Photos", "Gradients", "ManyDots", "Solids", "DenseText", "Fades"),
        *("Overlaps", "FastCamera", "Curves", "Warp", "Flow", "Morphs"),
    ),
}
EVERY = 7  # frames from one that is compared to the next: prime to the intervals of B-frames, to see all types
MANIM = {"preset": "medium", "crf": "23"}


@dataclass(frozen=True)
class Cost:
    """What one setting gives for one scene: seconds of CPU time, bytes, and the mean PSNR (dB) and SSIM."""

    cpu: float
    size: int
    psnr: float
    ssim: float


def render_lossless(folder: Path, file: str, name: str) -> None:
    """Render a scene if the folder does not have it yet."""
    if (folder / f"{name}.mp4").exists():
        return
    media = folder / f"{name}.media"
    quiet = ["--progress_bar", "none", "--silent", "--seed", "1", "--media_dir", media]
    lossless = ["--encoder-option", "crf=0", "--encoder-option", "preset=veryfast"]
    command = [
        sys.executable,
        "-m",
        "manim",
        "render",
        "-qh",
        *quiet,
        *lossless,
        "-n0,15",
        HERE / "scenes" / file,
        name,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    next(media.rglob(f"{name}.mp4")).rename(folder / f"{name}.mp4")


def read_chunks(video: Path, limit: int, length: int) -> Iterator[list[av.VideoFrame]]:
    """Yield the first ``limit`` frames, in chunks of ``length`` frames as a render makes them."""
    chunk: list[av.VideoFrame] = []
    with av.open(video) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == limit:
                break
            chunk.append(frame)
            if len(chunk) == length:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def encode(frames: list[av.VideoFrame], options: Mapping[str, str]) -> tuple[float, bytes]:
    """Encode the frames on one thread; return the seconds of CPU time and the file."""
    target = BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=60, options=dict(options))
        stream.codec_context.thread_count = 1
        stream.pix_fmt, stream.width, stream.height = "yuv420p", frames[0].width, frames[0].height
        spent = 0.0
        for number, frame in enumerate([*frames, None]):
            if frame is not None:
                frame.pts, frame.time_base = number, Fraction(1, 60)
                frame.pict_type = 0  # the decoder's must not bind the encoder
            started = time.thread_time()
            packets = stream.encode(frame)
            spent += time.thread_time() - started
            container.mux(packets)
    return spent, target.getvalue()


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """Return luma and both chroma planes, without padding."""
    sizes = [(frame.height, frame.width)] + [(frame.height // 2, frame.width // 2)] * 2
    return [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width].astype(np.int16)
        for plane, (height, width) in zip(frame.planes, sizes, strict=True)
    ]


def compute_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean SSIM of windows of 8x8 pixels."""
    height, width = (size // 8 * 8 for size in one.shape)
    first, second = (
        plane[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 64).astype(np.float32)
        for plane in (one, other)
    )
    mean1, mean2 = first.mean(1), second.mean(1)
    var1, var2 = first.var(1), second.var(1)
    covariance = (first * second).mean(1) - mean1 * mean2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * mean1 * mean2 + c1) * (2 * covariance + c2) / ((mean1**2 + mean2**2 + c1) * (var1 + var2 + c2))
    return float(value.mean())


def measure(video: Path, options: Mapping[str, str], limit: int) -> Cost:
    """Encode the beginning of a scene; return what it costs, and how near it is to the original."""
    cpu, size, error, pixels, ssims = 0.0, 0, 0.0, 0, []
    length = int(options.get("chunk", 180))
    options = {key: value for key, value in options.items() if key != "chunk"}
    for frames in read_chunks(video, limit, length):
        spent, data = encode(frames, options)
        cpu, size = cpu + spent, size + len(data)
        with av.open(BytesIO(data)) as container:
            for number, (original, frame) in enumerate(zip(frames, container.decode(video=0), strict=True)):
                if number % EVERY:
                    continue
                pairs = list(zip(planes(original), planes(frame), strict=True))
                error += sum(float(np.square(one - other, dtype=np.int32).sum()) for one, other in pairs)
                pixels += sum(one.size for one, _ in pairs)
                ssims.append(compute_ssim(*pairs[0]))
    psnr = 10 * math.log10(255**2 / max(error / pixels, 1e-9))
    return Cost(cpu, size, psnr, sum(ssims) / len(ssims))


def parse_setting(text: str) -> tuple[str, dict[str, str]]:
    """Return the name and the options of ``NAME=key=value,key=value``."""
    name, _, options = text.partition("=")
    return name, dict(option.split("=", 1) for option in options.split(","))


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


def compare(settings: Mapping[str, dict[str, str]], folder: Path, frames: int) -> None:
    """Print, for each setting, a line per scene and the means."""
    names = [name for scenes in SCENES.values() for name in scenes if (folder / f"{name}.mp4").exists()]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = {
            (label, name): pool.submit(
                measure, folder / f"{name}.mp4", {**options, "x264-params": params(options)}, frames
            )
            for label, options in settings.items()
            for name in names
        }
        manim = {name: found["manim", name].result() for name in names}
        print("| settings | scene | CPU | size | PSNR dB | dB more than Manim's | SSIM loss |")
        print("|---" * 7 + "|")
        for label in settings:
            rows = {name: (found[label, name].result(), manim[name]) for name in names}
            for name, (cost, base) in rows.items():
                print(
                    f"| {label} | {name} | {cost.cpu / base.cpu:.2f} | {cost.size / base.size:.2f} | {cost.psnr:.1f} | "
                    f"{cost.psnr - base.psnr:+.1f} | {(1 - cost.ssim) / max(1 - base.ssim, 1e-6):.2f} |",
                    flush=True,
                )
            cpu = geometric_mean([cost.cpu / base.cpu for cost, base in rows.values()])
            size = geometric_mean([cost.size / base.size for cost, base in rows.values()])
            worse = max(base.psnr - cost.psnr if cost.psnr < 48 else 0.0 for cost, base in rows.values())
            print(f"| {label} | **mean** | {cpu:.2f} | {size:.2f} | | worst below 48 dB {-worse:.1f} | |", flush=True)


def params(options: Mapping[str, str]) -> str:
    """Return x264's own parameters: with AVX2, whose bytes are the same on all machines."""
    return ":".join(filter(None, ["asm=avx2", options.get("x264-params")]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=KEY=VALUE,…")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--lossless", type=Path)
    args = parser.parse_args()
    from renderer.engine.adapter.encoder_presets import FAST

    settings = {"manim": MANIM, "renderer": dict(FAST.options), **dict(map(parse_setting, args.settings))}
    with tempfile.TemporaryDirectory(prefix="encoder-benchmark-") as scratch:
        folder = args.lossless or Path(scratch)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            jobs = [
                pool.submit(render_lossless, folder, file, name) for file, names in SCENES.items() for name in names
            ]
            for job in jobs:
                job.result()
        compare(settings, folder, args.frames)


if __name__ == "__main__":
    main()
