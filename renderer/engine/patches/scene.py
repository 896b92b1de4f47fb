"""Leaves out the work of frames that no process of the scene needs, and lets attempts have the same random numbers."""

from __future__ import annotations

import functools
import random
from typing import Any, Protocol

import numpy as np
from manim import Scene as ManimScene

from renderer.mirrors import mirrors

_MANIM_UPDATE_TO_TIME = ManimScene.update_to_time


class _Scene(Protocol):
    """The attributes of a scene that this module uses."""

    renderer: object
    last_t: float
    random_seed: int | None


@mirrors("manim.scene.scene:Scene.update_to_time", sha256="d291edf5cfadab91")
def update_to_time(self: _Scene, t: float) -> None:
    """Do what Manim does, unless the renderer does not need the scene as it is at this time of the play.

    The next time that is needed takes the time since the last one that was.
    """
    needs_frame = getattr(self.renderer, "needs_frame", None)
    if needs_frame is None or needs_frame():
        _MANIM_UPDATE_TO_TIME(self, t)


def choose_random_numbers(seed: int) -> None:
    """Let scenes without a seed, to which Manim gives new random numbers each time, have those that ``seed`` gives."""
    seeds, construct = random.Random(seed), ManimScene.__init__  # noqa: S311  # not for secrets

    @functools.wraps(construct)
    def construct_and_seed(self: _Scene, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)  # seeds, as its last step
        if self.random_seed is None:
            random.seed(seeds.getrandbits(64))
            np.random.seed(seeds.getrandbits(32))  # noqa: NPY002  # the state that scenes use

    ManimScene.__init__ = construct_and_seed
