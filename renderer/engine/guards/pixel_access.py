"""Raises Unfit when a scene reads or changes a camera's pixels while it is stepped: there is no frame to read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from manim import Camera as ManimCamera
from manim.mobject.types.image_mobject import ImageMobjectFromCamera

from renderer.engine.abort import StopRecord, Unfit, UnfitFromHere
from renderer.engine.guards.overrides import TRUSTED_MODULES
from renderer.engine.manim_types import Camera
from renderer.video.frame import Pixels
from renderer.video.written_rows import WRITTEN_ROWS

READS_PIXELS = "it reads the pixels of a frame"
_OWN_REFERENCES = 2  # to a background: the camera's, and that of the function that counts them
CHANGES_PIXELS = "it changes the pixels of a frame"


@dataclass(frozen=True)
class _Guarded:
    """Replaces the ``pixel_array`` of a guarded camera, and keeps the pixels until they are released.

    Each frame draws all ``pixels`` of the scene's own camera anew, which ``is_main``.
    """

    pixels: Pixels
    is_main: bool


def install_pixel_guards(stops: StopRecord) -> None:
    """Make ``pixel_array`` of Manim's classes a property that raises Unfit while the camera is guarded."""

    def get_pixels(camera: Camera) -> object:
        if has_guarded_pixels(camera):
            stops.raise_stop(_refuse(camera, READS_PIXELS))
        _notice_scene()
        return _read_attribute(camera)

    def set_pixels(camera: Camera, pixels: Pixels) -> None:
        if has_guarded_pixels(camera):
            stops.raise_stop(_refuse(camera, CHANGES_PIXELS))
        _notice_scene()
        vars(camera)["pixel_array"] = pixels

    def get_displayed_pixels(display: Any) -> object:  # an ImageMobjectFromCamera; Manim reads them when it moves it
        if has_guarded_pixels(display.camera) and is_called_by_scene():
            stops.raise_stop(Unfit(READS_PIXELS))
        return _read_attribute(display)

    def set_displayed_pixels(display: object, pixels: Pixels) -> None:
        vars(display)["pixel_array"] = pixels

    def get_background(camera: Camera) -> object:
        _notice_scene()
        return _read_attribute(camera, "background")

    def set_background(camera: Camera, background: Pixels) -> None:
        _notice_scene()
        vars(camera)["background"] = background

    ManimCamera.background = property(get_background, set_background)
    ManimCamera.pixel_array = property(get_pixels, set_pixels)
    ImageMobjectFromCamera.pixel_array = property(get_displayed_pixels, set_displayed_pixels)


def is_called_by_scene(level: int = 2) -> bool:
    """Return whether the scene's own code called the method or property that calls this function."""
    name = sys._getframe(level).f_globals.get("__name__", "")  # noqa: SLF001  # only the stack shows who calls
    return not str(name).startswith(TRUSTED_MODULES)


def has_guarded_pixels(camera: Camera) -> bool:
    """Return whether the pixels of the camera are guarded."""
    return isinstance(vars(camera).get("pixel_array"), _Guarded)


def guard_pixels(camera: Camera) -> None:
    """Forbid access to the pixels of the camera, and of the cameras whose frames it shows."""
    if sys.getrefcount(vars(camera)["background"]) > _OWN_REFERENCES:
        WRITTEN_ROWS.give_up()
    for member in _linked_cameras(camera):
        if not has_guarded_pixels(member):
            vars(member)["pixel_array"] = _Guarded(vars(member)["pixel_array"], is_main=member is camera)


def release_pixels(camera: Camera) -> None:
    """Allow access to the pixels of the camera, and of the cameras whose frames it shows."""
    for member in _linked_cameras(camera):
        if has_guarded_pixels(member):
            vars(member)["pixel_array"] = vars(member)["pixel_array"].pixels


@contextmanager
def released_pixels(camera: Camera) -> Iterator[None]:
    """Allow access to the pixels within the block."""
    was_guarded = has_guarded_pixels(camera)
    release_pixels(camera)
    try:
        yield
    finally:
        if was_guarded:
            guard_pixels(camera)


def _refuse(camera: Camera, reason: str) -> Unfit:
    is_main = vars(camera)["pixel_array"].is_main
    return UnfitFromHere(reason, needs_pixels=True) if is_main else Unfit(reason)


def _linked_cameras(camera: Camera) -> list[Camera]:
    return [camera, *(shown.camera for shown in vars(camera).get("image_mobjects_from_cameras", ()))]


def _notice_scene() -> None:
    """From now on, regard all rows as written if the scene's own code called the property that calls this function."""
    if is_called_by_scene(3):
        WRITTEN_ROWS.give_up()


def _read_attribute(thing: object, name: str = "pixel_array") -> object:
    try:
        return vars(thing)[name]
    except KeyError:
        raise AttributeError(name) from None  # as for any other missing attribute
