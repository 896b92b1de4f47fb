"""Renders one Manim scene in the current process and its children. Used by the worker, on every backend."""

from renderer.engine.children import Children
from renderer.engine.errors import EncoderError, OutOfMemoryError, SceneError
from renderer.engine.render import render
from renderer.engine.request import EncoderChoice, EncoderSettings, RenderSettings, SceneReport, SceneRequest
from renderer.engine.warm import warm_up

__all__ = [
    "Children",
    "EncoderChoice",
    "EncoderError",
    "EncoderSettings",
    "OutOfMemoryError",
    "RenderSettings",
    "SceneError",
    "SceneReport",
    "SceneRequest",
    "render",
    "warm_up",
]
