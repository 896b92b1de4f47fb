"""One play of a scene, and the parts of it that children paint."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from renderer.engine.adapter.state_digest import points_fingerprint
from renderer.engine.parallel.frame_buffers import Joining
from renderer.engine.parallel.shared_image import SharedImage


@dataclass
class Part:
    """Frames ``first`` to ``last`` (exclusive) of a play, painted by one child: its part number ``index``."""

    play: int
    index: int
    first: int
    last: int
    path: Path
    final: bool
    hashes: Path | None = None  # where to write a hash of each frame
    expected: str | None = None  # the parent's state after its last frame
    reached: str | None = None  # the child's
    frames: int = 0


@dataclass(frozen=True)
class Painted:
    """A play that was painted whole, for a second try of the scene: its files and the ``state`` after it."""

    fingerprint: tuple[Any, ...]
    cache_key: str | None
    files: list[Part]
    state: str


@dataclass
class Play:
    """A play as the parent sees it. ``fingerprint`` differs where Manim's own cache key would differ.

    ``joining`` is there where several painters paint for one encoder, which finds out whether the play is ``likely``
    to be in the cache, and whether it was ``taken`` from it; None while the parent does not know. ``encoded`` is true
    when that encoder has ended. ``before`` is there where an earlier try painted the play.
    """

    number: int
    name: str
    path: Path
    fingerprint: tuple[Any, ...] = ()
    parts: list[Part] = field(default_factory=list)
    frame: int = 0
    cache_key: str | None = None
    static: SharedImage | None = None
    static_picture: bytes | None = None  # a digest of what it shows
    joining: Joining | None = None
    likely: bool | None = None
    taken: bool | None = None
    encoded: bool = False
    before: Painted | None = None
    ended: bool = False  # the stepping, not the painting

    @property
    def part(self) -> Part:
        """The part that the next frame belongs to."""
        return next(part for part in self.parts if part.final or self.frame < part.last)

    @property
    def files(self) -> list[Part]:
        """The parts, or where they have one encoder the one that they became."""
        if self.before:
            return self.before.files
        if not self.joining:
            return self.parts
        return [Part(self.number, 0, 0, self.frame, self.path, final=True, frames=self.frame)]

    @property
    def painted(self) -> Painted | None:
        """The play's files, where it has come to its end and all of it is painted."""
        ended = bool(self.parts) and all(part.expected and part.expected == part.reached for part in self.parts)
        if not ended or (self.joining and not self.encoded):
            return None
        return Painted(self.fingerprint, self.cache_key, self.files, str(self.parts[-1].reached))

    def take(self, state: str | None) -> None:
        """Take note of what the cache had: nothing, or the whole play; ``state`` is the scene's after it."""
        self.taken = state is not None
        if state:
            self._whole(self.parts[-1].last, state)

    def take_painted(self, painted: Painted, frames: int) -> None:
        """Take what an earlier try of the scene painted."""
        self.before, self.cache_key = painted, painted.cache_key
        self._whole(frames, painted.state)

    def _whole(self, frames: int, state: str) -> None:
        self.parts = [Part(self.number, 0, 0, frames, self.path, final=True, reached=state)]


def cut(frames: int, longest: int) -> list[tuple[int, int]]:
    """Cut a play into equal parts of at most ``longest`` frames; the same on every machine."""
    pieces = max(1, -(-frames // longest))
    edges = [frames * piece // pieces for piece in range(pieces + 1)]
    return list(pairwise(edges))


def frame_count(scene: Any) -> int:
    """Count the frames that the compiled play will have at most; one for a frozen wait."""
    from manim import config

    if scene.is_current_animation_frozen_frame():
        return 1
    return len(np.arange(0, scene.get_run_time(scene.animations), 1 / config["frame_rate"]))


def fingerprint(scene: Any) -> tuple[Any, ...]:
    """Describe the compiled play by facts that Manim's cache key contains: other facts, another key."""
    run_times = sorted(animation.run_time for animation in scene.animations)
    return (*run_times, len(scene.mobjects), points_fingerprint(scene.mobjects))


def manim_cache_key(scene: Any) -> str:
    """Compute Manim's cache key of the compiled play."""
    from manim._config.video_encoder import video_encoder_fingerprint
    from manim.utils.hashing import get_hash_from_play_call

    key: str = get_hash_from_play_call(
        scene,
        scene.renderer.camera,
        scene.animations,
        scene.mobjects,
        backend="cairo",
        encoder_fingerprint=video_encoder_fingerprint(scene.session_spec.video_encoder),
        renderer_state=(),
    )
    return key
