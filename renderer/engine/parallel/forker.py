"""Forks the processes of one scene, each at the frame where its work begins."""

from __future__ import annotations

import logging
import os

from renderer.engine.abort import Unfit
from renderer.engine.adapter.renderer import replace_delegate
from renderer.engine.cache.chunk_key import StoredKey
from renderer.engine.guards.pixel_access import release_pixels
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.chunk_renderer import BeginPlay, ChunkRenderer, StaticImageRenderer
from renderer.engine.parallel.encoder_process import EncoderProcess
from renderer.engine.parallel.forked_delegate import forward_logs
from renderer.engine.parallel.group import Group, is_undivided, wait_to_go_on
from renderer.engine.parallel.monitor import Monitor
from renderer.engine.parallel.plan import ParallelOptions, PlayPlanner, identify_play
from renderer.engine.parallel.play import CacheAnswer, Chunk, ChunkedPlay, Play, SingleEncoderPlay
from renderer.engine.parallel.play_encoder import PlayEncoder
from renderer.engine.process.scene_process import discard_output, keep_freed_memory
from renderer.video.pixel_format import can_convert_bands
from renderer.video.pyav_encoder import OpenEncoder, PyAVEncoder

_log = logging.getLogger(__name__)


class Forker:
    """Forks chunk renderers and play encoders, and hands each new process to the monitor.

    Each method that forks returns twice, in the parent and in the new process. The new process runs the rest of the
    scene's code as well, with a RenderDelegate of its own. Only the processes that encode, one for each slot, do not.
    """

    def __init__(self, scene: Scene, options: ParallelOptions, planner: PlayPlanner, monitor: Monitor) -> None:
        self._scene, self._options, self._planner, self._monitor = scene, options, planner, monitor
        self._group: Group | None = None
        self._encoders: dict[int, EncoderProcess] = {}  # by the number of the slot of the chunk renderers that use it

    def join_group(self, play: Play) -> bool:
        """Let the chunk renderer of the play before draw this one, too; return False if it does not."""
        if not self._group:
            return False
        if not (self._group.has_room(play, self._has_free_slot) and self._options.process.may_be_copied()):
            self.close_group()
            return False
        chunk = play.chunks[0]
        chunk.joined = True
        _log.debug("process %d goes on with play %d", self._group.pid, play.identity.number)
        self._monitor.add_following(self._group.pid, play, chunk)
        self._group.go_on(chunk)
        return True

    def _has_free_slot(self) -> bool:
        return self._options.slots.count_free(self._options.limit) > 0

    def end_play(self) -> None:
        """Note that the stepping process has ended a play, whose chunk renderer may go on with the next one."""
        if self._group:
            self._group.end_play()

    def close_group(self) -> None:
        """Let the last chunk renderer end after the plays that it has."""
        if self._group:
            self._group.close()
            self._group = None

    def end_encoders(self) -> None:
        """End the processes that encode. No chunk renderer is left."""
        while self._encoders:
            self._encoders.popitem()[1].end()

    def fork_chunk_renderer(self, play: ChunkedPlay | SingleEncoderPlay, chunk: Chunk) -> None:
        """Wait for a free slot and a free buffer, then fork the process that draws the chunk."""
        if isinstance(play, SingleEncoderPlay):
            single = play
            self._monitor.wait_until(lambda: chunk.index < single.chunks_encoded + single.buffers.count)
        slot = self._monitor.wait_for_slot(self._options.slots, self._options.limit)
        work = f"renders chunk {chunk.index} (frames {chunk.first} to {chunk.last}) of"
        try:
            open_encoder = self._choose_encoder(play, chunk, slot.number)
            answers = self._options.process.create_pipe() if self._options.group_plays and is_undivided(play) else None
            pipe, pid = self._fork(play, chunk, work)
        except Unfit:
            os.close(slot.descriptor)  # other scenes may use it
            raise
        if pipe is not None:
            if answers:
                os.close(answers[1])  # so that this process ends if its parent does not answer
            self._become_chunk_renderer(play, chunk, pipe, open_encoder, answers[0] if answers else None)
            return
        os.close(slot.descriptor)
        if answers:
            os.close(answers[0])
            self._group = Group(pid, answers[1], chunk, self._options.process.side_effects)
        if not chunk.first and play.static_image:
            play.static_image.leave_to_child()

    def _choose_encoder(self, play: ChunkedPlay | SingleEncoderPlay, chunk: Chunk, slot: int) -> OpenEncoder:
        """Return what opens the encoder of a chunk: in the process that encodes for the slot, where that is possible.

        The kernel frees the slot when its chunk renderer has ended, and so no longer uses that process.
        """
        if isinstance(play, SingleEncoderPlay):
            buffers = play.buffers
            return lambda *_: buffers.open_writer(chunk.index)
        spec = self._scene.session_spec.video_encoder
        if self._options.open_encoder is not PyAVEncoder or not spec or not can_convert_bands(spec):
            return self._options.open_encoder
        if slot not in self._encoders:
            self._encoders[slot] = EncoderProcess(self._options.process, spec)
        return self._encoders[slot].open

    def fork_static_image(self, play: ChunkedPlay | SingleEncoderPlay) -> None:
        """Fork a process that only draws what stands still, for a play whose first chunk is drawn elsewhere."""
        pipe, _ = self._fork(play, None, "draws what stands still during")
        if pipe is not None:
            replace_delegate(self._scene, StaticImageRenderer(self._scene, play, pipe))
        elif play.static_image:
            play.static_image.leave_to_child()

    def fork_play_encoder(self, play: SingleEncoderPlay) -> bool:
        """Fork the play's encoder; return True in that process.

        When this returns in the parent, ``play.cache_answer`` is known, if there is a cache.
        """
        self._monitor.wait_until(lambda: self._monitor.encoders < self._options.limit)
        pipe, _ = self._fork(play, None, "encodes")
        if pipe is not None:
            self._become_play_encoder(play, pipe)
            return True
        if self._options.cache:
            self._monitor.wait_until(lambda: play.cache_answer in {CacheAnswer.MISS, CacheAnswer.HIT})
        return False

    def _fork(self, play: Play, chunk: Chunk | None, work: str) -> tuple[int | None, int]:
        """Fork a process; ``work`` says for the log what it does.

        Return the pipe to the parent in the new process, None in the parent; and what ``os.fork`` returns.
        """
        read, write = self._options.process.create_pipe()
        pid = self._options.process.fork()
        if not pid:
            discard_output()
            forward_logs(write)
            release_pixels(self._scene.renderer.camera)
            return write, pid
        os.close(write)
        _log.debug("process %d %s play %d", pid, work, play.identity.number)
        self._monitor.add(pid, read, play, chunk)
        return None, pid

    def _become_chunk_renderer(
        self,
        play: ChunkedPlay | SingleEncoderPlay,
        chunk: Chunk,
        pipe: int,
        open_encoder: OpenEncoder,
        answers: int | None,
    ) -> None:
        keep_freed_memory()
        entry = (
            None
            if isinstance(play, SingleEncoderPlay)
            else self._planner.make_cache_entry(chunk.path, chunk.prediction)
        )
        go_on = None if answers is None else lambda: self._go_on(pipe, open_encoder, answers)
        delegate = ChunkRenderer(self._scene, self._options.process, play, chunk, pipe, open_encoder, entry, go_on)
        replace_delegate(self._scene, delegate)
        if chunk.first:
            delegate.start_inside_play()
        else:
            delegate.begin_play()

    def _go_on(self, pipe: int, open_encoder: OpenEncoder, answers: int) -> BeginPlay:
        """Wait for the stepping process's answer; then end this process, or return what begins the next play."""
        goes_on, prediction = wait_to_go_on(answers)
        if not goes_on:
            os._exit(0)
        self._options.process.side_effects.refuse_between_plays()
        return lambda: self._draw_next_play(pipe, open_encoder, answers, prediction)

    def _draw_next_play(
        self, pipe: int, open_encoder: OpenEncoder, answers: int, prediction: StoredKey | None
    ) -> tuple[str, bool]:
        """Become the chunk renderer of the play that begins now."""
        play = self._planner.plan_undivided(identify_play(self._scene))
        play.chunks[0].prediction = prediction
        self._become_chunk_renderer(play, play.chunks[0], pipe, open_encoder, answers)
        return play.identity.name, False

    def _become_play_encoder(self, play: SingleEncoderPlay, pipe: int) -> None:
        delegate = PlayEncoder(self._scene, play, pipe, self._planner.make_cache_entry(play.identity.path))
        replace_delegate(self._scene, delegate)
        delegate.begin()
