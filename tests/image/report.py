"""Prints the size of each layer of this checkout's image, and the time of each step of its last build.

python tests/image/report.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MIN_BYTES, MIN_SECONDS = 1_000_000, 1.0


def layers(image: str) -> list[dict[str, Any]]:
    """Return the image's layers, the first one first; ``size`` is in bytes."""
    done = subprocess.run(
        ["podman", "history", "--no-trunc", "--format", "json", image], capture_output=True, text=True, check=True
    )
    return list(reversed(json.loads(done.stdout)))


def table(image: str) -> list[str]:
    """Return the lines of the report."""
    found = layers(image)
    lines = [f"{image}: {sum(layer['size'] for layer in found) / 1e6:,.0f} MB"]
    lines += [
        f"{layer['size'] / 1e6:>8,.0f} MB  {_short(layer.get('CreatedBy', ''))}"
        for layer in found
        if layer["size"] >= MIN_BYTES
    ]
    return (
        lines
        + ["", "steps of the last build:"]
        + [
            f"{step['seconds']:>9.1f} s  [{step['place']}] {_short(step['text'])}"
            for step in _last_build()
            if step["seconds"] >= MIN_SECONDS
        ]
    )


def _last_build() -> list[dict[str, Any]]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    text = (cache / "manim-renderer" / "image" / "last-build.json").read_text("utf-8")
    steps: list[dict[str, Any]] = json.loads(text)["steps"]
    return steps


def _short(text: str) -> str:
    words = " ".join(text.removeprefix("/bin/sh -c").split())
    return words[:100] + ("…" if len(words) > 100 else "")


if __name__ == "__main__":
    built = subprocess.run([HERE / "build-image"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    sys.stdout.write("\n".join(table(built)) + "\n")
