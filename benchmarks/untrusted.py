"""Measures what --untrusted costs on the local backend: the same job with and without it, in turn.

    .venv/bin/python benchmarks/untrusted.py [--runs 5] [--quality m]

The time is that of `renderer submit`, from start to end; the table gives medians, and the ratio of the sums. The videos
are compared byte by byte. The chunk cache is off in both.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCENES = ["Formulas", "Geometry", "SixtyPlays"]
LIMIT = 1.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quality", default="m")
    arguments = parser.parse_args()
    print(f"{'scene':<16} {'plain s':>10} {'untrusted s':>12} {'ratio':>8}")
    sums = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as name:
        for scene in SCENES:
            found = [measure(scene, arguments.quality, Path(name)) for _ in range(arguments.runs + 1)][1:]
            plain, untrusted = (statistics.median(column) for column in zip(*found, strict=True))
            sums = [sums[0] + plain, sums[1] + untrusted]
            print(f"{scene:<16} {plain:10.2f} {untrusted:12.2f} {untrusted / plain:8.3f}", flush=True)
    print(f"{'all':<16} {sums[0]:10.2f} {sums[1]:12.2f} {sums[1] / sums[0]:8.3f}   (limit {LIMIT})")


def measure(scene: str, quality: str, folder: Path) -> tuple[float, float]:
    """Return the seconds without and with the flag."""
    outputs = [folder / "plain", folder / "untrusted"]
    seconds = [render(scene, quality, outputs[0]), render(scene, quality, outputs[1], "--untrusted")]
    plain, untrusted = ((output / f"{scene}.mp4").read_bytes() for output in outputs)
    assert plain == untrusted, f"{scene}: the frames differ"
    return seconds[0], seconds[1]


def render(scene: str, quality: str, output: Path, *more: str) -> float:
    program = Path(sys.executable).parent / "renderer"
    command = [program, "submit", HERE / "scenes" / "reference.py", scene, "-q", quality, "-o", output, "--overwrite"]
    home = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(output.parent), "RENDERER_LOCAL_CACHE_MIB": "0"}
    home["XDG_STATE_HOME"] = str(output.parent / "state")
    started = time.monotonic()
    subprocess.run([*command, *more], env=home, cwd=output.parent, capture_output=True, check=True)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
