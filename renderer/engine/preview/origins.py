"""Finds the lines of the user's code: those that play, and those that made a mobject."""

from __future__ import annotations

import functools
import linecache
import os
import sys
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from manim import Mobject

from renderer.engine.preview.timeline import Line

_FOREIGN = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
MOST_COPIED = 500  # members of a copied mobject whose lines are copied


class Origins:
    """Remembers the line that made each mobject. ``folder`` is the root of the job."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lines: WeakKeyDictionary[Any, Line] = WeakKeyDictionary()
        self._relative = functools.cache(self._find_relative)

    def watch(self) -> None:
        """Remember the lines from now on, in this process."""
        construct, copy = Mobject.__init__, Mobject.copy

        @functools.wraps(construct)
        def construct_watched(mobject: Any, *args: Any, **kwargs: Any) -> None:
            if line := self.find_line(sys._getframe(1)):  # noqa: SLF001  # only the stack shows who calls
                self._remember(mobject, line)
            construct(mobject, *args, **kwargs)

        @functools.wraps(copy)
        def copy_watched(mobject: Any) -> Any:
            copied = copy(mobject)
            members = mobject.get_family()
            if len(members) <= MOST_COPIED:
                for member, twin in zip(members, copied.get_family(), strict=False):
                    if line := self.find(member):
                        self._remember(twin, line)
            return copied

        Mobject.__init__, Mobject.copy = construct_watched, copy_watched

    def find(self, mobject: Any) -> Line | None:
        """Return the line that made the mobject, if it is known."""
        try:
            return self._lines.get(mobject)
        except TypeError:  # a class that cannot be hashed
            return None

    def _remember(self, mobject: Any, line: Line) -> None:
        try:
            self._lines[mobject] = line
        except TypeError:
            return

    def find_line(self, frame: FrameType | None) -> Line | None:
        """Return the innermost line of the user's code from the frame outwards."""
        while frame is not None:
            if name := self._relative(frame.f_code.co_filename):
                return Line(name, frame.f_lineno)
            frame = frame.f_back
        return None

    def find_call(self) -> tuple[Line | None, Line | None, str]:
        """Return the innermost and the outermost line of the user's code that led here, and the text of the first."""
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
        lines: list[tuple[Line, str]] = []
        while frame is not None:
            if name := self._relative(frame.f_code.co_filename):
                lines.append((Line(name, frame.f_lineno), frame.f_code.co_filename))
            frame = frame.f_back
        if not lines:
            return None, None, ""
        (inner, path), (outer, _) = lines[0], lines[-1]
        return inner, outer if outer != inner else None, linecache.getline(path, inner.line).strip()

    def _find_relative(self, file: str) -> str | None:
        """Return the file's name in the job; None for one that is none of the user's."""
        path = os.path.normpath(os.path.join(self._folder, file))  # noqa: PTH118  # quicker, and the file need not exist
        if file.startswith("<") or not path.startswith(self._folder + os.sep) or any(part in path for part in _FOREIGN):
            return None
        return os.path.relpath(path, self._folder).replace(os.sep, "/")
