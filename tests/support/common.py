"""What many tests need: the command line, decoded videos, plain Manim to compare with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import psutil

BIN = Path(sys.executable).parent
SMALL = ("--resolution", "160x90", "--fps", "10")


def renderer(*arguments: str | Path, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    return subprocess.run(
        [BIN / "renderer", *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=240
    )


def environment(home: Path, **more: str) -> dict[str, str]:
    """Give the variables of a user whose home is ``home``; nothing of this user's own settings remains."""
    own = ("RENDERER_", "XDG_", "MODAL_", "PYTHONUNBUFFERED")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
        **more,
    }


def output(done: subprocess.CompletedProcess[str]) -> Any:
    """Read the JSON that a command printed with --json."""
    return json.loads(done.stdout)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Make the folder a file system of its own, of so many bytes (2m, 32k); wants root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def until(condition: Callable[[], bool], *, within: float = 60.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not collected yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def frames(video: Path) -> list[str]:
    """Decode a video; give a hash of each frame's pixels."""
    with av.open(str(video)) as container:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in container.decode(video=0)]


def manim_render(file: Path, *scenes: str, media: Path, options: tuple[str, ...] = ()) -> dict[str, Path]:
    """Render with plain Manim, as its own command line does; give the video of each scene."""
    command: list[str | Path] = [BIN / "manim", "render", "--media_dir", media, "--progress_bar", "none"]
    command += ["-r", "160,90", "--fps", "10", "--encoder-option", "threads=1", *options, file.name, *scenes]
    command += ["--encoder-option", "x264-params=asm=avx2"]  # see renderer.engine.adapter.encoder_presets.steady
    hash_seed = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=file.parent, env=hash_seed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.stem: path for path in (media / "videos").rglob("*") if path.stem in scenes and path.is_file()}
    assert set(found) == set(scenes), done.stdout
    return found
