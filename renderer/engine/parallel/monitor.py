"""Watches the forked processes of one scene: reads their messages, checks how they end, waits for a free slot."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from backends.errors import OutputError, RendererError
from renderer.engine.abort import FramesNeeded, ProcessFailed, ProcessKilled, Stop, Unfit, UnfitInGroup
from renderer.engine.adapter.scene_state import describe_difference
from renderer.engine.parallel import messages
from renderer.engine.parallel.forked_delegate import log_forwarded
from renderer.engine.parallel.messages import ErrorRaised, Message
from renderer.engine.parallel.play import CacheAnswer, Chunk, Play, RenderedPlay, SingleEncoderPlay
from renderer.engine.process.slots import ProcessSlots, Slot
from renderer.engine.request import Progress
from renderer.video.concat import Clip
from renderer.video.errors import EncoderError

POLL_INTERVAL_S = 0.005
READ_BYTES = 65536

_log = logging.getLogger(__name__)


@dataclass
class _Process:
    """A chunk renderer or, if ``chunk`` is None, a play's encoder. ``unread`` is an incomplete message.

    ``following`` are the plays that a chunk renderer of short plays draws next. Nobody needs the play ``abandoned``.
    """

    pid: int
    play: Play
    chunk: Chunk | None
    unread: bytes = b""
    following: deque[tuple[Play, Chunk]] = field(default_factory=deque)
    abandoned: Play | None = None

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody needs what the process does now."""
        return self.abandoned is self.play

    def start_following(self) -> None:
        """Take the next play, if the current one is done."""
        if self.following and self.chunk and self.chunk.reached:
            self.play, self.chunk = self.following.popleft()

    def fail(self, reason: str) -> Unfit:
        """Return the exception for a failure of this process."""
        return UnfitInGroup(reason) if self.chunk and self.chunk.joined else Unfit(reason)


class Monitor:
    """All forked processes of one scene.

    ``total`` is the number of frames of the scene, None until it is known; ``cached`` counts frames from the cache. All
    methods that read messages raise Unfit, ProcessFailed or ProcessKilled when a process reports or meets a failure.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._selector = selectors.DefaultSelector()
        self._progress = progress
        self._done = 0  # frames
        self.cached = 0
        self.total: int | None = None

    @property
    def encoders(self) -> int:
        """How many play encoders run."""
        return sum(key.data.chunk is None for key in self._selector.get_map().values())

    def add(self, pid: int, pipe: int, play: Play, chunk: Chunk | None) -> None:
        """Watch a new process: a chunk renderer, or, if ``chunk`` is None, the play's encoder."""
        os.set_blocking(pipe, False)
        self._selector.register(pipe, selectors.EVENT_READ, _Process(pid, play, chunk))

    def add_following(self, pid: int, play: Play, chunk: Chunk) -> None:
        """Note that the chunk renderer ``pid`` goes on with another play, if it has not ended."""
        for key in self._selector.get_map().values():
            if key.data.pid == pid:
                key.data.following.append((play, chunk))
                key.data.start_following()

    def read_messages(self) -> None:
        """Read the messages that have arrived."""
        self._read_messages(0)

    def wait_for_slot(self, slots: ProcessSlots, limit: int) -> Slot:
        """Wait until one of the first ``limit`` slots is free; return it for the new process."""
        started = time.monotonic()
        while (slot := slots.take(limit)) is None:
            self._read_messages(POLL_INTERVAL_S)
        self.read_messages()
        _log.debug("waited %.3f s for a slot", time.monotonic() - started)
        return slot

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Read messages until the condition holds, or until all processes have ended."""
        while not condition() and self._selector.get_map():
            self._read_messages(None)

    def wait_for_all(self) -> None:
        """Wait until all processes have ended."""
        self.wait_until(lambda: False)

    def kill(self, play: Play | None = None) -> None:
        """Kill all processes, or those of one play, and wait for their end. Earlier plays of a group are finished."""
        for key in list(self._selector.get_map().values()):
            if play and key.data.play is not play:
                key.data.abandoned = play
                continue
            with suppress(ProcessLookupError):
                os.kill(key.data.pid, signal.SIGKILL)
            self._reap(key)

    def verify(self, play: Play, chunk: Chunk) -> None:
        """Raise Unfit if drawing a chunk led to another state than stepping it. Do nothing until both are known.

        Raise FramesNeeded instead if the reason may be that frames of the play were left out.
        """
        if chunk.expected and chunk.reached and not chunk.is_verified:
            _log.debug("play %d: %s", play.identity.number, describe_difference(chunk.expected, chunk.reached))
            if play.can_leap:
                raise FramesNeeded(play.identity.number)
            reason = f"play {play.identity.number} leads to another state when it is drawn than when it is stepped"
            raise (UnfitInGroup if chunk.joined else Unfit)(reason)

    def count_frames(self, frames: int, *, cached: int = 0) -> None:
        """Add finished frames to the progress; ``cached`` of them come from the chunk cache."""
        self._done += frames
        self.cached += cached
        if self._progress:
            self._progress(self._done, self.total)

    def _read_messages(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            process: _Process = key.data
            data = os.read(key.fd, READ_BYTES)
            *lines, process.unread = (process.unread + data).split(b"\n")
            for line in lines:
                self._handle(process, _decode(process, line))
            if not data:
                self._handle_end(process, self._reap(key))

    def _handle(self, process: _Process, message: Message) -> None:
        if process.is_abandoned:
            return
        match message:
            case messages.LogLine():
                log_forwarded(message)
            case messages.ErrorRaised():
                raise _error(message, process)
            case messages.ManimKeyComputed(key):
                process.play.identity.manim_key = key
            case messages.FramesDrawn(frames):
                self.count_frames(frames)
            case messages.ChunkDone():
                self._handle_chunk(process, message)
            case _:
                _handle_encoder(process.play, message)

    def _handle_chunk(self, process: _Process, message: messages.ChunkDone) -> None:
        if chunk := process.chunk:
            chunk.cached, chunk.draw_s, chunk.encode_s = message.cached, message.draw_s, message.encode_s
            chunk.reached = message.state
            self.verify(process.play, chunk)
        self.count_frames(message.frames, cached=message.cached)
        process.start_following()

    def _reap(self, key: selectors.SelectorKey) -> int:
        self._selector.unregister(key.fd)
        os.close(key.fd)
        _, status = os.waitpid(key.data.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _handle_end(self, process: _Process, code: int) -> None:
        number = process.play.identity.number
        _log.debug("process %d of play %d ended with %d", process.pid, number, code)
        if process.is_abandoned:
            return
        if code == -signal.SIGKILL:
            raise ProcessKilled(number)
        if code or process.unread or (process.chunk and process.chunk.reached is None):
            raise process.fail(f"a process that renders play {number} ended with {code}")
        if isinstance(process.play, SingleEncoderPlay) and process.chunk is None:
            process.play.encoder_ended = True


def _decode(process: _Process, line: bytes) -> Message:
    try:
        return messages.decode(line)
    except messages.DamagedMessageError as error:
        raise Unfit(f"a process that renders play {process.play.identity.number} sent {error}") from error


def _handle_encoder(play: Play, message: Message) -> None:
    """Store in the play what its encoder reports."""
    if not isinstance(play, SingleEncoderPlay):
        return
    match message:
        case messages.PlayMayBeCached(possible):
            play.cache_answer = CacheAnswer.POSSIBLE if possible else CacheAnswer.MISS
        case messages.PlayMissed():
            play.cache_answer = CacheAnswer.MISS
        case messages.PlayFound(frames):
            identity = play.identity
            clips = (Clip(identity.path, frames),)
            play.found = RenderedPlay(identity.fingerprint, identity.manim_key, clips, message.state)
            play.cache_answer = CacheAnswer.HIT
        case messages.ChunksEncoded(chunks):
            play.chunks_encoded = chunks
        case messages.PlayEncoded(encode_s):
            play.encode_s = encode_s


def _error(message: ErrorRaised, process: _Process) -> Stop:
    kinds: dict[str, type[RendererError]] = {"encoder": EncoderError, "output": OutputError}
    if message.kind in kinds:
        return ProcessFailed(kinds[message.kind](message.text, hint=message.hint))
    if message.kind == "memory":
        return ProcessKilled(-1)
    if message.kind == "unfit":
        return process.fail(message.text)
    return process.fail(f"drawing raised {message.text}, and stepping did not")
