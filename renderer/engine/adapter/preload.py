"""Imports Manim once for many scenes."""

from __future__ import annotations

import gc
import importlib

from renderer.engine.patches.lean_import import import_manim_lean

_MODULES = (  # what each scene imports
    "manim.cli.render.commands", "manim.manager", "manim.utils.module_ops",
    "renderer.engine.adapter.config", "renderer.engine.adapter.loader", "renderer.engine.adapter.outputs",
    "renderer.engine.instrument", "renderer.engine.process.fallback",
    "av.subtitles.stream", "multiprocessing.synchronize", "numpy.random", "rich.table",
    "concurrent.futures", "html.parser",  # packages that import_manim_lean leaves out import these
)  # fmt: skip


def warm_up() -> None:
    """Import Manim and everything that a render needs. A worker calls it once, and then forks a process per scene."""
    gc.disable()  # importing makes many objects and frees few
    try:
        import_manim_lean()
        for name in _MODULES:
            importlib.import_module(name)
    finally:
        gc.enable()
    gc.freeze()
