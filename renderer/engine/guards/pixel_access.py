"""Watches the cameras of a scene that is stepped without painting: whoever reads their pixels would see nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from manim import Camera
from manim.mobject.types.image_mobject import ImageMobjectFromCamera

from renderer.engine.abort import Unfit
from renderer.engine.guards.overrides import OURS
from renderer.video.frame import Pixels


@dataclass(frozen=True)
class _Guarded:
    """Stands in the place of a camera's pixels."""

    pixels: Pixels


def guard(camera: Any) -> None:  # a Manim camera
    """Make every access to the pixels of the camera, and of those whose pictures it shows, raise Unfit."""
    for member in _members(camera):
        if not guarded(member):
            vars(member)["pixel_array"] = _Guarded(vars(member)["pixel_array"])


def install_guards() -> None:
    """Let Manim's cameras, and mobjects that show a camera's picture, ask here for their pixels."""
    Camera.pixel_array = property(_pixels, _set_pixels)
    ImageMobjectFromCamera.pixel_array = property(_displayed, _display)


def _pixels(camera: Any) -> Any:
    if guarded(camera):
        raise Unfit("it looks at the painted picture")
    return _attribute(camera)


def _set_pixels(camera: Any, pixels: Any) -> None:
    if guarded(camera):
        raise Unfit("it changes the painted picture")
    vars(camera)["pixel_array"] = pixels


def _displayed(display: Any) -> Any:
    """Give the pixels, also to Manim, which reads them when it moves the mobject."""
    if guarded(display.camera) and asked_by_scene():
        raise Unfit("it looks at the painted picture")
    return _attribute(display)


def _display(display: Any, pixels: Any) -> None:
    vars(display)["pixel_array"] = pixels


def _attribute(thing: Any) -> Any:
    try:
        return vars(thing)["pixel_array"]
    except KeyError:
        raise AttributeError("pixel_array") from None  # as Python says it


def asked_by_scene() -> bool:
    """Tell, in a method or property, whether somebody else than Manim and we has called it."""
    name = sys._getframe(2).f_globals.get("__name__", "")  # noqa: SLF001  # the only way to tell who asks
    return not str(name).startswith(OURS)


def guarded(camera: Any) -> bool:
    """Tell whether the camera is watched."""
    return isinstance(vars(camera).get("pixel_array"), _Guarded)


def unguard(camera: Any) -> None:
    """Let go of the camera, and of those whose pictures it shows."""
    for member in _members(camera):
        if guarded(member):
            vars(member)["pixel_array"] = vars(member)["pixel_array"].pixels


@contextmanager
def unguarded(camera: Any) -> Iterator[None]:
    """Allow access within a block."""
    watched = guarded(camera)
    unguard(camera)
    try:
        yield
    finally:
        if watched:
            guard(camera)


def _members(camera: Any) -> list[Any]:
    return [camera, *(shown.camera for shown in vars(camera).get("image_mobjects_from_cameras", ()))]
