"""Hashes of frames before they are encoded. Equal hashes prove that two renders show the same."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from renderer.engine.manim_types import Renderer
from renderer.video.frame import Pixels


def hash_frame(pixels: Pixels) -> str:
    """Return a hash of one frame."""
    return blake2b(pixels.data, digest_size=16).hexdigest()


def record_frame_hashes(renderer: Renderer, folder: Path) -> None:
    """Make a serial render write a hash of each frame, in order, to one file of the folder."""
    for old in folder.iterdir():  # files of a parallel attempt
        old.unlink()
    write_frame = renderer.file_writer.write_frame

    def write_hashed(pixels: Pixels, *, repeat: int = 1) -> None:
        with (folder / "frames").open("a") as file:
            file.write(f"{hash_frame(pixels)}\n" * repeat)
        write_frame(pixels, repeat=repeat)

    renderer.file_writer.write_frame = write_hashed
