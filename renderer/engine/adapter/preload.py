"""Imports Manim once for many scenes."""

from __future__ import annotations

import gc
import importlib

_USED_BY_EACH_SCENE = (
    "manim.cli.render.commands", "manim.manager", "manim.utils.module_ops",
    "renderer.engine.adapter.config", "renderer.engine.adapter.loader", "renderer.engine.adapter.outputs",
    "renderer.engine.instrument", "renderer.engine.process.fallback",
    "av.subtitles.stream", "multiprocessing.synchronize", "rich.table",
)  # fmt: skip


def warm_up() -> None:
    """Import Manim and all that a render needs. A process that has done it forks one process for each scene."""
    gc.disable()  # importing makes much and drops nothing
    try:
        for name in _USED_BY_EACH_SCENE:
            importlib.import_module(name)
    finally:
        gc.enable()
    gc.freeze()
