"""Imports Manim once for many scenes."""

from __future__ import annotations

import gc
import importlib
import inspect
import io
import logging
from functools import cache

from renderer.engine.patches.lean_import import import_manim_lean

_MODULES = (  # what each scene imports
    "manim.cli.render.commands", "manim.manager", "manim.utils.module_ops",
    "renderer.engine.adapter.config", "renderer.engine.adapter.loader", "renderer.engine.adapter.outputs",
    "renderer.engine.instrument", "renderer.engine.process.fallback",
    "av.subtitles.stream", "multiprocessing.synchronize", "numpy.random", "rich.table",
    "concurrent.futures", "html.parser",  # packages that import_manim_lean leaves out import these
)  # fmt: skip


@cache
def warm_up() -> None:
    """Import Manim and everything that a render needs. A worker calls it once, and then forks a process per scene."""
    gc.disable()  # importing makes many objects and frees few
    try:
        import_manim_lean()
        for name in _MODULES:
            importlib.import_module(name)
        importlib.import_module("renderer.engine").render  # noqa: B018  # a name that is imported when it is used
        _compile_patterns()
    finally:
        gc.enable()
    gc.freeze()


def _compile_patterns() -> None:
    """Compile the regular expressions and styles that each render uses, which Python and Rich keep from then on."""
    from manim._config.logger_utils import HIGHLIGHTED_KEYWORDS, Console, RichHandler
    from manim.cli.render.commands import render

    logger = logging.Logger(__name__)  # noqa: LOG001  # of its own: nothing that others have added to it sees the line
    logger.addHandler(RichHandler(console=Console(file=io.StringIO()), keywords=HIGHLIGHTED_KEYWORDS))
    logger.info("Reading config file: /manim.cfg")
    render.make_context("render", ["--progress_bar", "none", "--", "scene.py", "Scene"])
    inspect.getblock(["pass"])
