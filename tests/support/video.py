"""Videos: plain Manim's to compare with, and the frames of a file."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import av
from support.commands import BIN


def frames(video: Path) -> list[str]:
    """Decode a video; return a hash of each frame's pixels."""
    with av.open(str(video)) as container:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in container.decode(video=0)]


def manim_render(file: Path, *scenes: str, media: Path, options: tuple[str, ...] = ()) -> dict[str, Path]:
    """Render with Manim's own command line; return the file of each scene."""
    command: list[str | Path] = [BIN / "manim", "render", "--media_dir", media, "--progress_bar", "none"]
    command += ["-r", "160,90", "--fps", "10", "--encoder-option", "threads=1", *options, file.name, *scenes]
    command += ["--encoder-option", "x264-params=asm=avx2"]  # see encoder_presets.make_deterministic
    hash_seed = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=file.parent, env=hash_seed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.stem: path for path in (media / "videos").rglob("*") if path.stem in scenes and path.is_file()}
    assert set(found) == set(scenes), done.stdout
    return found
