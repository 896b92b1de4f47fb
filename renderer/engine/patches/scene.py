"""Leaves out the work of frames that no process of the scene needs."""

from __future__ import annotations

from typing import Protocol

from manim import Scene as ManimScene

from renderer.mirrors import mirrors

_MANIM_UPDATE_TO_TIME = ManimScene.update_to_time


class _Scene(Protocol):
    """The attributes of a scene that this module uses."""

    renderer: object
    last_t: float


@mirrors("manim.scene.scene:Scene.update_to_time", sha256="d291edf5cfadab91")
def update_to_time(self: _Scene, t: float) -> None:
    """Do what Manim does, unless the renderer does not need the scene as it is at this time of the play.

    The next time that is needed takes the time since the last one that was.
    """
    needs_frame = getattr(self.renderer, "needs_frame", None)
    if needs_frame is None or needs_frame():
        _MANIM_UPDATE_TO_TIME(self, t)
