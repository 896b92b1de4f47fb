"""Forks the children of one scene at the moment where they take over, each as what it is to be."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from renderer.engine.abort import Unfit
from renderer.engine.cache.entry import Keeping
from renderer.engine.cache.store import ChunkCache
from renderer.engine.guards.pixel_access import release_pixels
from renderer.engine.parallel.chunk_renderer import Painter
from renderer.engine.parallel.monitor import Watch
from renderer.engine.parallel.play import Painted, Part, Play
from renderer.engine.parallel.play_encoder import PlayEncoder
from renderer.engine.process.scene_process import SceneProcess, discard_output
from renderer.engine.process.slots import ProcessSlots
from renderer.video.pyav_encoder import OpenEncoder, PyAVEncoder

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Plan:
    """How to paint: the children to share with other scenes, how many of them, the longest part in frames.

    With ``one_encoder`` each play has one, which all its painters paint for, as has a play of one part in any case. One
    painter paints plays of up to ``whole`` frames, or less where others are idle, and those whose frames cannot be
    handed over. ``opened`` opens the encoder of a part, ``cache`` may have parts that were painted before, and
    ``painted`` has plays that an earlier try of the scene painted.
    """

    process: SceneProcess
    slots: ProcessSlots
    limit: int
    longest: int | None
    one_encoder: bool = False
    whole: int = 0
    progress: Progress | None = None
    hashes: Path | None = None
    opened: OpenEncoder = PyAVEncoder
    cache: ChunkCache | None = None
    painted: Mapping[int, Painted] = field(default_factory=dict)


class Forks:
    """Forks painters and encoders, and hands them to the watch."""

    def __init__(self, scene: Any, plan: Plan, watch: Watch) -> None:
        self._scene, self._plan, self._watch = scene, plan, watch
        self._settings = repr((plan.cache.versions, scene.session_spec.video_encoder)) if plan.cache else ""

    def painter(self, play: Play, part: Part) -> None:
        """Fork a painter, when there is room for one."""
        if (joining := play.joining) is not None:
            self._watch.until(lambda: part.index < joining.encoded + joining.buffers)
        slot = self._watch.slot(self._plan.slots, self._plan.limit)
        try:
            pipe = self._forked(part, play)
        except Unfit:
            os.close(slot)  # other scenes may have it
            raise
        if pipe is not None:
            self._become_painter(play, part, pipe)
            return
        os.close(slot)
        if not part.first and play.static:
            play.static.leave_to_child()

    def encoder(self, play: Play) -> bool:
        """Fork the encoder of a play with several painters; True in that child, where the scene goes on.

        In the parent it is known then whether the cache had the play.
        """
        self._watch.until(lambda: self._watch.encoders < self._plan.limit)
        if (pipe := self._forked(None, play)) is not None:
            self._become_encoder(play, pipe)
            return True
        if self._plan.cache:
            self._watch.until(lambda: play.likely is not None)
            self._watch.until(lambda: not play.likely or play.taken is not None)
        return False

    def _forked(self, part: Part | None, play: Play) -> int | None:
        """Fork; in the child give the pipe to its parent."""
        read, write = self._plan.process.create_pipe()
        pid = self._plan.process.fork()
        if not pid:
            discard_output()
            release_pixels(self._scene.renderer.camera)
            return write
        os.close(write)
        self._watch.add(pid, read, part, play)
        return None

    def _become_painter(self, play: Play, part: Part, pipe: int) -> None:
        joining = play.joining
        opened = (lambda *_: joining.writer(part.index)) if joining else self._plan.opened
        keeping = None if joining else self._keeping(part.path)
        painter = Painter(self._scene, self._plan.process, play, part, pipe, opened, keeping)
        self._scene.renderer.crew = painter
        if part.first:
            painter.take_over()
        else:
            painter.begin_play()

    def _become_encoder(self, play: Play, pipe: int) -> None:
        assert play.joining  # noqa: S101  # for the type checker
        encoder = PlayEncoder(self._scene, play, pipe, play.joining, self._keeping(play.path))
        self._scene.renderer.crew = encoder
        encoder.begin()

    def _keeping(self, target: Path) -> Keeping | None:
        cache = self._plan.cache
        return Keeping(self._scene, cache, self._settings, target) if cache else None
