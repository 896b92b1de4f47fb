"""Hashes of frames before they are encoded: the proof that two renders show the same."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

from renderer.video.frame import Pixels


def frame_hash(pixels: Pixels) -> str:
    """Hash one frame."""
    return blake2b(pixels.data, digest_size=16).hexdigest()


def note_frames(renderer: Any, folder: Path) -> None:  # Manim's renderer
    """Make a serial render write a hash of each frame, in order, into one file of the folder."""
    for old in folder.iterdir():  # what an attempt in parallel has left
        old.unlink()
    write = renderer.file_writer.write_frame

    def noted(pixels: Pixels, *, repeat: int = 1) -> None:
        with (folder / "frames").open("a") as file:
            file.write(f"{frame_hash(pixels)}\n" * repeat)
        write(pixels, repeat=repeat)

    renderer.file_writer.write_frame = noted
