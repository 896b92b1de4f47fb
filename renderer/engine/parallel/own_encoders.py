"""Encodes the plays that the stepping process draws itself: each in a thread of its own, as Manim does."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from manim.scene.scene_file_writer import _PartialMovieEncodeJob

from renderer.engine.adapter.frame_hashes import hash_frame
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.play import Chunk
from renderer.video.frame import Pixels
from renderer.video.pyav_encoder import OpenEncoder, VideoWriter


class OwnEncoders:
    """The threads that encode. A play's file may be completed while the next play is drawn."""

    def __init__(self, scene: Scene, open_encoder: OpenEncoder) -> None:
        self._scene, self._open_encoder = scene, open_encoder
        self._jobs: list[Any] = []  # of the last play, and of the one before while that is not complete
        self._chunk: Chunk | None = None

    def begin_play(self, chunk: Chunk) -> None:
        """Open the encoder of a play, which is one chunk."""
        spec = self._scene.session_spec.video_encoder
        assert spec  # noqa: S101  # for the type checker: a video is made
        encoder = _SegmentEncoder(chunk.path, self._open_encoder(chunk.path, spec))
        size = self._scene.renderer.file_writer.settings.encoder_queue_size
        self._chunk = chunk
        self._jobs.append(_PartialMovieEncodeJob(animation_index=chunk.index, encoder=encoder, frame_queue_size=size))

    def write(self, pixels: Pixels, repeat: int) -> None:
        """Encode a frame of the play, which is shown ``repeat`` times. Raises what the encoder raised before."""
        job, chunk = self._jobs[-1], self._chunk
        if job.failed:
            self.finish()
        job.put(repeat, pixels.copy())
        if chunk and chunk.hashes:
            with chunk.hashes.open("a") as file:
                file.write(f"{hash_frame(pixels)}\n" * repeat)

    def end_play(self) -> None:
        """Let the play's encoder complete its file, and wait for that of the play before. Raises what that raised."""
        self._jobs[-1].seal()
        for job in self._jobs[:-1]:
            self._jobs.remove(job)
            job.join()

    def finish(self) -> None:
        """Wait until all files are complete. Raises what an encoder raised."""
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.seal()
        for job in jobs:
            job.join()

    def abort(self) -> None:
        """Discard the files that are not complete."""
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.abort()
            with suppress(Exception):  # why the scene is given up is more important
                job.join()


class _SegmentEncoder:
    """A VideoWriter with the methods that Manim's threads call."""

    def __init__(self, target: Path, writer: VideoWriter) -> None:
        self.target, self._writer = target, writer
        self.finish = writer.finish

    def write_frame(self, pixels: Pixels, *, repeat: int = 1) -> None:
        """Encode a frame ``repeat`` times."""
        self._writer.write(pixels, repeat)

    def abort(self) -> None:
        """Discard the file."""
        with suppress(Exception):
            self.finish()
        self.target.unlink(missing_ok=True)
