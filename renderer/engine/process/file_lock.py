"""Lets only one process at a time create TeX, text and SVG files.

The stepping process and the chunk renderers need the same files at the same time.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from renderer.engine.guards.side_effects import SideEffectGuard

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")

_log = logging.getLogger(__name__)


class FileLock:
    """A lock between processes. A process may take it again while it holds it. Side effects are allowed meanwhile."""

    def __init__(self, path: Path, side_effects: SideEffectGuard) -> None:
        self._path, self._side_effects = path, side_effects
        self._depth = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock within the block; the kernel frees it when the process ends."""
        with self._side_effects.allowed():
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC) if not self._depth else None
        self._depth += 1
        try:
            if descriptor is not None:
                started = time.monotonic()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _log.debug("waited %.3f s for %s", time.monotonic() - started, self._path)
            with self._side_effects.allowed():
                yield
        finally:
            self._depth -= 1
            if descriptor is not None:
                os.close(descriptor)

    def wrap(self, function: Callable[ParamsT, ResultT]) -> Callable[ParamsT, ResultT]:
        """Return a function that calls ``function`` while it holds the lock."""

        @functools.wraps(function)
        def locked(*args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
            with self.hold():
                return function(*args, **kwargs)

        return locked


def lock_file_makers(path: Path, side_effects: SideEffectGuard) -> None:
    """Let Manim's functions that create such files take one lock, in this process and in those forked from it."""
    from manim import MarkupText, SVGMobject, Text
    from manim.mobject.text import tex_mobject, text_mobject, typst_mobject

    lock = FileLock(path, side_effects)
    makers: list[tuple[object, str]] = [
        (tex_mobject, "tex_to_svg_file"),
        (typst_mobject, "typst_to_svg_file"),
        (Text, "_text2svg"),
        (MarkupText, "_text2svg"),
        (text_mobject.PangoUtils, "remove_last_M"),  # rewrites the file that _text2svg created
        (SVGMobject, "generate_mobject"),
    ]
    for owner, name in makers:
        original = getattr(owner, name)
        setattr(owner, name, lock.wrap(getattr(original, "__wrapped__", original)))
