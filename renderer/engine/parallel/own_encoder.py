"""Encodes the plays that the stepping process draws itself: in a thread, while that draws, as Manim does."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from manim.scene.scene_file_writer import _PartialMovieEncodeJob

from renderer.engine.adapter.frame_hashes import hash_frame
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.play import Chunk
from renderer.video.frame import Pixels
from renderer.video.pyav_encoder import OpenEncoder, VideoWriter


class OwnEncoder:
    """The encoder of one play after the other. Its methods raise what the encoder raised in the thread."""

    def __init__(self, scene: Scene, open_encoder: OpenEncoder) -> None:
        self._scene, self._open_encoder = scene, open_encoder
        self._job: Any = None  # of the play that is drawn

    def begin_play(self, chunk: Chunk) -> None:
        """Open the file of a play, which is one chunk."""
        spec = self._scene.session_spec.video_encoder
        assert spec  # noqa: S101  # for the type checker: a video is made
        encoder = _SegmentEncoder(chunk, self._open_encoder(chunk.path, spec))
        size = self._scene.renderer.file_writer.settings.encoder_queue_size
        self._job = _PartialMovieEncodeJob(animation_index=chunk.index, encoder=encoder, frame_queue_size=size)

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame of the play, which is shown ``repeat`` times."""
        if self._job.failed:
            self.end_play()
        self._job.put(repeat, pixels.copy())

    def end_play(self) -> None:
        """Wait until the file of the play is complete."""
        job, self._job = self._job, None
        job.seal()
        job.join()

    def abort(self) -> None:
        """Discard the file of a play that has not ended."""
        if self._job:
            self._job.abort()
            self._job.thread.join()


class _SegmentEncoder:
    """A VideoWriter with the methods that Manim's thread calls."""

    def __init__(self, chunk: Chunk, writer: VideoWriter) -> None:
        self.target, self.finish = chunk.path, writer.finish
        self._hashes, self._writer = chunk.hashes, writer

    def write_frame(self, pixels: Pixels, *, repeat: int = 1) -> None:
        """Encode a frame ``repeat`` times."""
        self._writer.write(pixels, repeat)
        if self._hashes:
            with self._hashes.open("a") as file:
                file.write(f"{hash_frame(pixels)}\n" * repeat)

    def abort(self) -> None:
        """Discard the file."""
        with suppress(Exception):  # it has failed before, or is not needed
            self.finish()
        self.target.unlink(missing_ok=True)
