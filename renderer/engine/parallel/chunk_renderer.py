"""The forked process of one chunk: draws and encodes it, or finds it in the chunk cache, reports, and ends."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import NoReturn

from renderer.engine.adapter.frame_hashes import hash_frame
from renderer.engine.adapter.leap import can_leap, digest_begun_play, digest_ended_play
from renderer.engine.adapter.scene_state import SceneState
from renderer.engine.adapter.state_digest import digest_state
from renderer.engine.cache.entry import CacheEntry, PlayDigests
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.forked_delegate import ForkedDelegate
from renderer.engine.parallel.messages import ChunkDone, FramesDrawn
from renderer.engine.parallel.play import Chunk, ChunkedPlay, SingleEncoderPlay
from renderer.engine.process.scene_process import SceneProcess
from renderer.video.frame import Pixels
from renderer.video.pyav_encoder import OpenEncoder, VideoWriter

REPORT_FRAMES = 8  # frames between two reports of progress; the first frame is reported at once
LEAP_FRAMES = 12  # of a play; for shorter ones, the digests cost as much as they save

BeginPlay = Callable[[], tuple[str, bool]]  # begins a play, and returns what ``begin_play`` of a delegate does

_log = logging.getLogger(__name__)


class ChunkRenderer(ForkedDelegate):
    """Does the work of a chunk renderer, as the RenderDelegate in its process.

    If the cache may have the chunk, this process forks another one that does not draw (``draws`` is false): it steps to
    the end of the chunk, which makes the chunk's cache key known, and looks it up.

    ``go_on`` is called at the end of the chunk if the process may draw the next play as well. It ends the process, or
    returns what begins the next play.
    """

    def __init__(
        self,
        scene: Scene,
        process: SceneProcess,
        play: ChunkedPlay | SingleEncoderPlay,
        chunk: Chunk,
        pipe: int,
        open_encoder: OpenEncoder,
        entry: CacheEntry | None,
        go_on: Callable[[], BeginPlay] | None = None,
    ) -> None:
        super().__init__(scene, play, pipe)
        self._process, self._drawn_play, self._chunk = process, play, chunk
        self._open_encoder, self._entry, self._go_on = open_encoder, entry, go_on
        self.draws = True
        self._begin_next: BeginPlay | None = None
        self._found = self._has_frame = False
        self._answer = b""  # what the process found that looked the chunk up, if this process goes on all the same
        self._encoder: VideoWriter | None = None
        self._hashes: list[str] = []
        self._unreported, self._until_report = 0, 1  # frames
        self._started, self._encode_s = time.perf_counter(), 0.0

    def begin_play(self) -> tuple[str, bool]:
        """Return the segment's name; after the first play of this process, let another delegate begin."""
        return self._begin_next() if self._begin_next else super().begin_play()

    def share_static_image(self, drawn: Pixels | None) -> Pixels | None:
        """Return the image to use; copy it to the memory that the play's other chunk renderers read, if any."""
        if drawn is None:
            return None
        if self._entry:
            self._entry.add_static_image(self._entry.digest_static_image())
        return self._drawn_play.static_image.publish(drawn) if self._drawn_play.static_image else drawn.copy()

    def start_inside_play(self) -> None:
        """Wait for the image of what stands still, which the chunk renderer of the play's first chunk draws."""
        if self._drawn_play.static_image and self._scene.static_mobjects:
            self._scene.renderer.static_image = self._drawn_play.static_image.wait()
            if self._entry and isinstance(self._drawn_play, ChunkedPlay):
                self._entry.add_static_image(self._drawn_play.static_digest)

    def needs_frame(self) -> bool:
        """Return True. Before the first frame of a play, take the digest of its beginning."""
        play = self._drawn_play
        if play.can_leap is None:
            play.can_leap = False
            is_long = play.chunks[-1].last >= LEAP_FRAMES
            if self._entry and not self._chunk.first and is_long and can_leap(self._scene):
                play.begun = digest_begun_play(self._scene)
        return True

    def take_frame(self, pixels: Pixels | None, repeat: int) -> None:
        """Encode the frame; after the first frame, look the chunk up in the cache; after the last, end the process."""
        if self._entry:
            self._entry.add_frame(repeat)
            if not self._has_frame:
                self._look_up(self._entry)
        self._has_frame = True
        if self.draws:
            self._encode(pixels, repeat)
        self._count(repeat)
        if not self._chunk.final and self._drawn_play.frame == self._chunk.last:
            self._finish()

    def _look_up(self, entry: CacheEntry) -> None:
        """Look the chunk up in the cache. If it is there, end this process; otherwise return, so that it is drawn.

        The key of a chunk is known only at its end. So a forked process, which does not draw, steps there and looks the
        chunk up, while this process waits. A chunk of one frame needs no fork.
        """
        if not entry.is_likely_cached():
            return
        if self._chunk.last - self._chunk.first == 1:
            self._found = entry.restore()
            self.draws = not self._found
            return
        read, write = self._process.create_pipe()
        pid = self._process.fork()
        if not pid:
            self.draws, self._pipe, self._go_on = False, write, None
            return
        _log.debug("process %d steps to the end of chunk %d to look it up in the cache", pid, self._chunk.index)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            answer = stream.read()
        os.waitpid(pid, 0)
        if not answer:
            return
        if self._go_on:
            self.draws, self._answer = False, answer
            return
        os.write(self._pipe, answer)
        os._exit(0)

    def _encode(self, pixels: Pixels | None, repeat: int) -> None:
        spec = self._scene.session_spec.video_encoder
        assert spec and pixels is not None  # noqa: PT018, S101  # for the type checker
        started = time.perf_counter()
        if self._encoder is None:
            self._encoder = self._open_encoder(self._chunk.path, spec)
        if self._chunk.hashes:
            self._hashes += [hash_frame(pixels)] * repeat
        self._encoder.write(pixels, repeat)
        self._encode_s += time.perf_counter() - started

    def _count(self, frames: int) -> None:
        self._drawn_play.frame += frames
        self._unreported += frames
        if self.draws and self._unreported >= self._until_report:
            self._send(FramesDrawn(self._unreported))
            self._unreported, self._until_report = 0, REPORT_FRAMES

    def end_play(self) -> None:
        """Complete the chunk; end the process, or prepare for the next play."""
        self._finish()

    def _finish(self) -> None:
        state = digest_state(self._scene)
        if self._entry and (begun := self._drawn_play.begun):
            ended = digest_ended_play(self._scene) if self._chunk.final else ""
            self._entry.play = PlayDigests(begun, ended)
        if self._answer:
            os.write(self._pipe, self._answer)
        elif self.draws:
            self._close_file()
            draw_s = time.perf_counter() - self._started - self._encode_s
            self._report_done(0, state, draw_s)
        elif self._found or (self._entry and self._entry.restore()):
            self._report_done(self._unreported, state, 0.0)
        if not self._go_on:
            os._exit(0)
        self._begin_next, self.draws = self._go_on(), True

    def _report_done(self, cached: int, state: SceneState, draw_s: float) -> None:
        self._send(ChunkDone(self._unreported, cached, state, draw_s, self._encode_s))

    def _close_file(self) -> None:
        assert self._encoder is not None  # noqa: S101  # a play has a frame
        started = time.perf_counter()
        self._encoder.finish()
        self._encoder = None
        self._encode_s += time.perf_counter() - started
        if self._chunk.hashes:
            self._chunk.hashes.write_text("".join(f"{line}\n" for line in self._hashes))
        if self._entry:
            self._entry.keep()

    def report_failure(self, error: BaseException) -> NoReturn:
        """Report the error, and end the process. One that only looks the chunk up ends without a report."""
        if not self.draws:
            os._exit(1)
        super().report_failure(error)


class StaticImageRenderer(ForkedDelegate):
    """Draws what stands still during a play, for the chunk renderers of later chunks, and ends."""

    draws = True

    def share_static_image(self, drawn: Pixels | None) -> NoReturn:
        """Copy the image to the memory that the chunk renderers read, and end the process."""
        image = self._play.static_image if isinstance(self._play, ChunkedPlay) else None
        if image and drawn is not None:
            image.publish(drawn)
        os._exit(0)

    def before_frame(self) -> NoReturn:
        """End the process: nothing stands still."""
        os._exit(0)

    def take_frame(self, pixels: Pixels | None, repeat: int) -> NoReturn:  # noqa: ARG002
        """End the process: nothing stands still."""
        os._exit(0)

    def end_play(self) -> NoReturn:
        """End the process: the play has no frame."""
        os._exit(0)
