"""Lets one process at a time make TeX, text and SVG files: parent and children meet the same ones at the same time."""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from renderer.engine.guards.side_effects import pardoned

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


class FileLock:
    """A lock between processes that a process may take again while it holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._depth = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the lock; the kernel frees it when the process ends."""
        with pardoned():
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC) if not self._depth else None
        self._depth += 1
        try:
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with pardoned():
                yield
        finally:
            self._depth -= 1
            if descriptor is not None:
                os.close(descriptor)

    def around(self, function: Callable[ParamsT, ResultT]) -> Callable[ParamsT, ResultT]:
        """Give the function, run under the lock."""

        @functools.wraps(function)
        def locked(*args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ResultT:
            with self():
                return function(*args, **kwargs)

        return locked


def share_made_files(path: Path) -> None:
    """Put Manim's functions that write such files under one lock in this process and those forked from it."""
    from manim import MarkupText, SVGMobject, Text
    from manim.mobject.text import tex_mobject, text_mobject, typst_mobject

    lock = FileLock(path)
    makers: list[tuple[Any, str]] = [
        (tex_mobject, "tex_to_svg_file"),
        (typst_mobject, "typst_to_svg_file"),
        (Text, "_text2svg"),
        (MarkupText, "_text2svg"),
        (text_mobject.PangoUtils, "remove_last_M"),  # rewrites what _text2svg has made
        (SVGMobject, "generate_mobject"),
    ]
    for owner, name in makers:
        original = getattr(owner, name)
        setattr(owner, name, lock.around(getattr(original, "__wrapped__", original)))
