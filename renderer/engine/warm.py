"""Imports Manim once for many scenes."""

from __future__ import annotations

import gc


def warm_up() -> None:
    """Import Manim and all that a render needs. A process that has done it forks one process for each scene."""
    gc.disable()  # importing makes much and drops nothing
    try:
        import manim.cli.render.commands
        import manim.manager
        import manim.utils.module_ops  # noqa: F401
    finally:
        gc.enable()
    gc.freeze()
