"""Renders one Manim scene in the current process and its children. Used by the worker, on every backend."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from renderer.engine.adapter.preload import warm_up
    from renderer.engine.cache.store import ChunkCache
    from renderer.engine.errors import OutOfMemoryError, SceneError
    from renderer.engine.process.slots import ProcessSlots
    from renderer.engine.render import render
    from renderer.engine.request import SceneReport, SceneRequest
    from renderer.model import EncoderChoice, EncoderSettings, RenderSettings
    from renderer.video.errors import EncoderError

__all__ = [
    "ChunkCache",
    "EncoderChoice",
    "EncoderError",
    "EncoderSettings",
    "OutOfMemoryError",
    "ProcessSlots",
    "RenderSettings",
    "SceneError",
    "SceneReport",
    "SceneRequest",
    "render",
    "warm_up",
]

_HOMES = {
    "renderer.engine.adapter.preload": {"warm_up"},
    "renderer.engine.cache.store": {"ChunkCache"},
    "renderer.engine.errors": {"OutOfMemoryError", "SceneError"},
    "renderer.engine.process.slots": {"ProcessSlots"},
    "renderer.engine.render": {"render"},
    "renderer.engine.request": {"SceneReport", "SceneRequest"},
    "renderer.model": {"EncoderChoice", "EncoderSettings", "RenderSettings"},
    "renderer.video.errors": {"EncoderError"},
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: who only describes a job needs no numpy."""
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(module), name)
            globals()[name] = value  # where a submodule has the same name, this one stays
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
