"""Prints the scenes that gain least against plain `manim render`, with time on the clock and CPU time side by side.

    .venv/bin/python benchmarks/worst.py [--quality m] [--runs 1] [--worst 10] [--examples] [FILE | FILE:SCENE …]

Without arguments it measures all scenes of tests/engine/scenes that plain Manim renders, and those of scenes/kinds.py.
With ``--examples`` it measures the examples of Manim's documentation in manim_examples.py.
Each run is a `manim render` and a `renderer submit`, one after the other, both without anything in their caches; the
table has medians, the smallest ratios first. CPU ratios mean something on a busy machine as well.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from engine import HERE, MANIM, Run, measure
from manim_examples import write_examples

KINDS = HERE / "scenes" / "kinds.py"
TEST_SCENES = HERE.parent / "tests" / "engine" / "scenes"
RENDERER = Path(sys.executable).parent / "renderer"


def list_scenes(files: list[str]) -> list[tuple[Path, str]]:
    """Return file and name of each scene that the arguments name."""
    if not files:
        files = [str(KINDS), *(str(path) for path in sorted(TEST_SCENES.glob("*.py")) if path.stem != "faults")]
    found = []
    for text in files:
        file, _, scene = text.partition(":")
        found += [(Path(file).resolve(), name) for name in ([scene] if scene else list_classes(Path(file)))]
    return found


def list_classes(file: Path) -> list[str]:
    """Return the names of the scenes in a file: classes with a ``construct`` whose base has a name that ends so."""
    classes = [item for item in ast.parse(file.read_text()).body if isinstance(item, ast.ClassDef)]
    return [
        item.name
        for item in classes
        if any(isinstance(base, ast.Name) and base.id.endswith("Scene") for base in item.bases)
        and any(isinstance(part, ast.FunctionDef) and part.name == "construct" for part in item.body)
    ]


def render_both(file: Path, scene: str, quality: str, work: Path) -> tuple[Run, Run]:
    """Render the scene with Manim and with renderer; return what each cost."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    os.environ.update({f"XDG_{kind}_HOME": str(work / kind.lower()) for kind in ("STATE", "CACHE")})
    quiet = ["--progress_bar", "none", "--silent", "--seed", "1"]
    manim = [str(MANIM), "render", "-q", quality, *quiet, "--media_dir", str(work / "media"), str(file), scene]
    ours = [str(RENDERER), "submit", str(file), scene, "-q", quality, "-o", str(work / "out")]
    return measure(manim), measure(ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE[:SCENE]")
    parser.add_argument("--quality", default="m", choices=["l", "m", "h", "k"])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--worst", type=int, default=10)
    parser.add_argument("--examples", action="store_true")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="worst-benchmark-") as folder:
        examples = Path(folder) / "examples"
        for file, scene in write_examples(examples) if args.examples else list_scenes(args.files):
            try:
                pairs = [render_both(file, scene, args.quality, Path(folder) / "run") for _ in range(args.runs)]
            except SystemExit as failed:
                print(f"left out: {failed}", file=sys.stderr, flush=True)
                continue
            walls, cpus = (
                [statistics.median(getattr(run, key) for run in runs) for runs in zip(*pairs, strict=True)]
                for key in ("wall", "cpu")
            )
            rows.append((walls[0] / walls[1], scene, walls, cpus))
            print(f"{scene}: {rows[-1][0]:.2f}x", file=sys.stderr, flush=True)
    print("| scene | manim s | renderer s | speed | manim CPU s | renderer CPU s | CPU |\n" + "|---" * 7 + "|")
    for speed, scene, walls, cpus in sorted(rows)[: args.worst]:
        print(
            f"| {scene} | {walls[0]:.2f} | {walls[1]:.2f} | {speed:.2f}x | {cpus[0]:.2f} | {cpus[1]:.2f} "
            f"| {cpus[1] / cpus[0]:.2f} |"
        )
    print(f"geometric mean of {len(rows)} scenes: {statistics.geometric_mean(row[0] for row in rows):.2f}x")


if __name__ == "__main__":
    main()
