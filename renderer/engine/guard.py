"""Watches the cameras of a scene that is stepped without painting: whoever reads their pixels would see nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from manim.mobject.types.image_mobject import ImageMobjectFromCamera

from renderer.engine.errors import Unfit

_made: dict[type, type] = {}


def guard(camera: Any) -> None:  # a Manim camera
    """Make every access to the pixels of the camera, and of those whose pictures it shows, raise Unfit."""
    for member in _members(camera):
        if not guarded(member):
            member.__class__ = _guarded(type(member))


def guard_displays() -> None:
    """Do the same for the mobjects that show a camera's picture. Manim itself reads it when it moves them."""
    ImageMobjectFromCamera.pixel_array = property(_displayed, _display)


def _displayed(display: Any) -> Any:
    reader = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001  # the only way to tell who asks
    if guarded(display.camera) and not reader.startswith("manim."):
        raise Unfit("it looks at the painted picture")
    try:
        return vars(display)["pixel_array"]
    except KeyError:
        raise AttributeError("pixel_array") from None  # as Python says it


def _display(display: Any, pixels: Any) -> None:
    vars(display)["pixel_array"] = pixels


def guarded(camera: Any) -> bool:
    """Tell whether the camera is watched."""
    return hasattr(type(camera), "_guards")


def unguard(camera: Any) -> None:
    """Let go of the camera, and of those whose pictures it shows."""
    for member in _members(camera):
        member.__class__ = getattr(type(member), "_guards", type(member))


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


def _guarded(kind: type) -> type:
    if kind not in _made:
        _made[kind] = _make(kind)
    return _made[kind]


def _make(kind: type) -> type:
    def refuse(*_: object) -> None:
        raise Unfit("it looks at the painted picture")

    body = {
        "pixel_array": property(refuse, refuse),
        "_guards": kind,
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
    }
    return type(kind.__name__, (kind,), body)
