"""Watches the camera of a scene that is stepped without painting: whoever reads its pixels would see nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from renderer.engine.errors import Unfit


def guard(camera: Any) -> None:  # a Manim camera
    """Make every access to the camera's pixels raise Unfit."""
    kind = type(camera)

    def refuse(*_: object) -> None:
        raise Unfit("it looks at the painted picture")

    body = {
        "pixel_array": property(refuse, refuse),
        "_guards": kind,
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
    }
    camera.__class__ = type(kind.__name__, (kind,), body)


def unguard(camera: Any) -> None:
    """Let go of the camera."""
    camera.__class__ = getattr(type(camera), "_guards", type(camera))


@contextmanager
def unguarded(camera: Any) -> Iterator[None]:
    """Allow access within a block."""
    kind = camera.__class__
    unguard(camera)
    try:
        yield
    finally:
        camera.__class__ = kind
