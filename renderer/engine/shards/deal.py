"""Deals the clips of a scene out to its shards. All shards do the same, although none knows how many will come."""

from __future__ import annotations

from manim import Mobject as ManimMobject
from manim import config

from renderer.engine.adapter.play_key import count_frames, iterate_family
from renderer.engine.guards.overrides import is_override
from renderer.engine.manim_types import Mobject, Scene

STILL_FRAMES_PER_DRAWN = 3  # encoding a frame that repeats the one before costs so much less
FRAMES_PER_PROCESS = 4  # what the start of a process costs
MEMBERS_PER_FRAME = 24  # encoding a frame costs as much as drawing so many members of mobjects


class Deal:
    """Chooses for each clip the shard with the least work so far, and of these the first."""

    def __init__(self, shards: int) -> None:
        self._work = [0] * shards

    def choose_shard(self, weight: int) -> int:
        """Return the shard that gets the next clip. Only the relation of the weights counts."""
        shard = min(range(len(self._work)), key=self._work.__getitem__)
        self._work[shard] += weight
        return shard


class PlayWeights:
    """Estimates what the clips of the compiled play cost, from what moves in it. All shards do the same."""

    def __init__(self, scene: Scene) -> None:
        animated = (mobject for animation in scene.animations if isinstance(mobject := animation.mobject, ManimMobject))
        roots = [*_find_moving(scene), *animated]
        self._members = len({id(member) for root in roots for member in iterate_family(root) if len(member.points)})
        frames = int(scene.duration * config.frame_rate)
        self._still = frames // STILL_FRAMES_PER_DRAWN * MEMBERS_PER_FRAME if is_still(scene) else 0

    def weigh(self, frames: int) -> int:
        """Return the weight of a clip of so many frames. A still play draws one frame, and encodes it many times."""
        started = FRAMES_PER_PROCESS * MEMBERS_PER_FRAME
        return started + self._still + frames * (MEMBERS_PER_FRAME + self._members)


def _find_moving(scene: Scene) -> list[Mobject]:
    """Return what may move during the compiled play; with a method of the user, which may do more, all mobjects."""
    if is_override(type(scene).get_moving_mobjects):
        return scene.mobjects
    return scene.get_moving_mobjects(*scene.animations)


def is_still(scene: Scene) -> bool:
    """Return whether all frames of the compiled play are the same."""
    return bool(scene.is_current_animation_frozen_frame()) and count_frames(scene) == 1
