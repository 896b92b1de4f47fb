"""Deals the clips of a scene out to its shards. All shards do the same, although none knows how many will come."""

from __future__ import annotations

from manim import config

from renderer.engine.adapter.play_key import count_frames
from renderer.engine.manim_types import Scene

STILL_FRAMES_PER_DRAWN = 4  # encoding a frame that repeats the one before costs so much less


class Deal:
    """Chooses for each clip the shard with the least work so far, and of these the first."""

    def __init__(self, shards: int) -> None:
        self._work = [0] * shards

    def choose_shard(self, weight: int) -> int:
        """Return the shard that gets the next clip, which costs as much as ``weight`` usual frames."""
        shard = min(range(len(self._work)), key=self._work.__getitem__)
        self._work[shard] += weight
        return shard


def weigh_still_play(scene: Scene) -> int:
    """Return what the clip of a play costs that shows the same frame all the time."""
    return 1 + int(scene.duration * config.frame_rate) // STILL_FRAMES_PER_DRAWN


def is_still(scene: Scene) -> bool:
    """Return whether all frames of the compiled play are the same."""
    return bool(scene.is_current_animation_frozen_frame()) and count_frames(scene) == 1
