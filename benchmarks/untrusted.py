"""Measures what --untrusted costs: the same job with and without it, in turn, on the local backend.

    .venv/bin/python benchmarks/untrusted.py [--runs 5] [--quality m] [--image IMAGE]

With ``--image`` it is the docker backend, with the settings RENDERER_DOCKER_… of the environment: without the flag by
the engine's usual runtime, with it in gVisor, which must be installed. Its cost has no limit.

The first times are those of `renderer submit`, from start to end. The others are processor time of everything that it
started, which says more on a busy machine. The table gives medians, and the ratio of the sums. The videos are compared
byte by byte. The chunk cache is off in both.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCENES = ["Formulas", "Geometry", "SixtyPlays"]
LIMIT = 1.05
PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quality", default="m")
    parser.add_argument("--scenes", nargs="+", default=SCENES, metavar="SCENE")
    parser.add_argument("--image", help="measure gVisor in containers of this image")
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # a supervisor ends later than its submit
    heads = ("plain s", "untrusted s", "ratio", "plain CPU s", "untrusted CPU s", "ratio")
    print(f"{'scene':<12}" + "".join(f" {head:>16}" for head in heads))
    sums = [0.0] * 4
    with tempfile.TemporaryDirectory() as name:
        for scene in arguments.scenes:
            runs = range(arguments.runs + 1)
            found = [measure(scene, arguments.quality, Path(name), arguments.image) for _ in runs][1:]
            medians = [statistics.median(column) for column in zip(*found, strict=True)]
            sums = [total + one for total, one in zip(sums, medians, strict=True)]
            print_row(scene, medians)
    print_row("all", sums)
    print("untrusted: in gVisor" if arguments.image else f"limit of the ratio: {LIMIT}")


def print_row(name: str, values: Sequence[float]) -> None:
    plain, untrusted, plain_cpu, untrusted_cpu = values
    shown = (plain, untrusted, untrusted / plain, plain_cpu, untrusted_cpu, untrusted_cpu / plain_cpu)
    print(f"{name:<12}" + "".join(f" {value:16.3f}" for value in shown), flush=True)


def measure(scene: str, quality: str, folder: Path, image: str | None) -> tuple[float, float, float, float]:
    """Return the seconds without and with the flag, and the seconds of processor time."""
    outputs = [folder / "plain", folder / "untrusted"]
    where = ["--backend", "docker", "--image", image, "--gpu", "none"] if image else []
    times = [render(scene, quality, outputs[0], *where), render(scene, quality, outputs[1], *where, "--untrusted")]
    plain, untrusted = ((output / f"{scene}.mp4").read_bytes() for output in outputs)
    assert plain == untrusted, f"{scene}: the frames differ"
    return times[0][0], times[1][0], times[0][1], times[1][1]


def render(scene: str, quality: str, output: Path, *more: str) -> tuple[float, float]:
    """Return the seconds from start to end, and the processor time of all processes."""
    program = Path(sys.executable).parent / "renderer"
    command = [program, "submit", HERE / "scenes" / "reference.py", scene, "-q", quality, "-o", output, "--overwrite"]
    home = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(output.parent),
        "RENDERER_LOCAL_CACHE_MIB": "0",
    }
    home["XDG_STATE_HOME"] = str(output.parent / "state")
    home |= {key: value for key, value in os.environ.items() if key.startswith("RENDERER_DOCKER_")}
    if "--untrusted" in more:
        home.pop("RENDERER_DOCKER_OPTIONS", None)  # it would be refused
    started = time.monotonic()
    process = subprocess.Popen(
        [*command, *more], env=home, cwd=output.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    assert process.returncode == 0, f"{scene}: exit code {process.returncode}"
    return seconds, usage.ru_utime + usage.ru_stime + sum(reap())


def reap() -> Iterator[float]:
    """Yield the processor time of each process that was left behind, once it has ended."""
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return
        yield usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
