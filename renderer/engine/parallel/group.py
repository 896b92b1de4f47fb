"""Plays, one after the other, that one chunk renderer draws.

A new process needs up to a tenth of a second until the scene's memory, which it shares with its parent at first, is its
own. For very short plays, this is more than their frames cost. Other plays are drawn in one process while all slots are
taken, so that a process of their own would have to wait anyway.

The stepping process decides at the start of each play whether the chunk renderer of the play before goes on with it,
and tells that process, which waits for the answer at the end of each play. Each play keeps a file of its own, so the
decision, which may depend on measured times, does not change the bytes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TypeGuard

from renderer.engine.cache.chunk_key import StoredKey
from renderer.engine.guards.side_effects import SideEffectGuard
from renderer.engine.parallel.play import Chunk, ChunkedPlay, Play

MAX_SHORT_FRAMES = 20  # of a play that is worth no process of its own
MAX_FRAMES = 60  # of a group while slots are free: other processes should have work, too
MAX_FRAMES_BUSY = 90  # of a group while there are none: at the end of a scene, others may have to wait for it
MAX_CODE_CPU_S = 0.03  # of the code between two plays, which both processes run: less than a new process costs
MAX_CODE_S = 0.5  # the same on the clock: a busy machine may interrupt it, but it should not wait for something

_ANSWER_BYTES = 256  # of each message, so that one that waits behind another is read alone


def is_undivided(play: Play) -> TypeGuard[ChunkedPlay]:
    """Return whether one process may draw the play together with the plays before and after it."""
    return isinstance(play, ChunkedPlay) and len(play.chunks) == 1


class Group:
    """The stepping process's end of a group: ``pid`` is the chunk renderer's process."""

    def __init__(self, pid: int, pipe: int, chunk: Chunk, side_effects: SideEffectGuard) -> None:
        self.pid = pid
        self._pipe, self._side_effects = pipe, side_effects
        self._frames = chunk.last
        self._ended_at: tuple[float, float, int] | None = None

    def end_play(self) -> None:
        """Start to measure the code between two plays."""
        self._ended_at = self._measure()

    def has_room(self, play: Play, has_free_slot: Callable[[], bool]) -> bool:
        """Return whether the chunk renderer should go on with the play, which begins now.

        It cannot if the code before the play wrote a file or started a process: the chunk renderer would do it again.
        """
        if self._ended_at is None or not is_undivided(play):
            return False
        wall, cpu, effects = (now - then for now, then in zip(self._measure(), self._ended_at, strict=True))
        if cpu > MAX_CODE_CPU_S or wall > MAX_CODE_S or effects:
            return False
        own, together = play.chunks[0].last, self._frames + play.chunks[0].last
        if own <= MAX_SHORT_FRAMES and together <= MAX_FRAMES:
            return True
        return together <= MAX_FRAMES_BUSY and not has_free_slot()

    def go_on(self, chunk: Chunk) -> None:
        """Let the chunk renderer go on with the chunk, a whole play, whose predicted key is known here."""
        self._frames += chunk.last
        self._ended_at = None
        self._answer(asdict(chunk.prediction) if chunk.prediction else {})

    def close(self) -> None:
        """Let the chunk renderer end after the plays that it has.

        Processes that the scene itself has forked may keep the pipe open, so that closing it does not suffice.
        """
        with suppress(BrokenPipeError):  # it has ended
            self._answer(None)
        os.close(self._pipe)

    def _answer(self, prediction: dict[str, str] | None) -> None:
        os.write(self._pipe, json.dumps(prediction).encode().ljust(_ANSWER_BYTES))

    def _measure(self) -> tuple[float, float, int]:
        return time.monotonic(), time.process_time(), self._side_effects.count


def wait_to_go_on(pipe: int) -> tuple[bool, StoredKey | None]:
    """Wait in the chunk renderer, at the end of a play; return whether to go on, and the next play's predicted key."""
    answer = json.loads(os.read(pipe, _ANSWER_BYTES) or "null")
    return answer is not None, StoredKey(**answer) if answer else None
