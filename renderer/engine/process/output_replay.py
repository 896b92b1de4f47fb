"""Has what a scene prints appear once, also where the scene is rendered a second time from scratch."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any, Self

MOST = 2**20  # characters that are remembered of a stream
_NOT_OF_THE_SCENE = ("manim.", "rich.", "renderer.", "backends.")


class Prints:
    """What a scene prints within a ``with`` block: ``said``, by stream.

    ``before`` is what an earlier try of the scene has said. It is left out as long as the scene says the same; from
    where it says something else on, all appears.
    """

    def __init__(self, before: Mapping[str, str]) -> None:
        self._before = before
        self._streams: dict[str, _Stream] = {}

    @property
    def said(self) -> dict[str, str]:
        """What has appeared of this try or the one before it, whichever went further."""
        return {name: max(stream.before, stream.said.getvalue(), key=len) for name, stream in self._streams.items()}

    def __enter__(self) -> Self:
        """Listen."""
        for name in ("stdout", "stderr"):
            if stream := getattr(sys, name):
                self._streams[name] = _Stream(stream, self._before.get(name, ""))
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        for stream in self._streams.values():
            stream.leave()


class _Stream:
    def __init__(self, stream: Any, before: str) -> None:
        self.before, self.said = before, io.StringIO()
        self._again = 0  # characters of ``before`` that were said again
        self._stream, self._write = stream, stream.write
        stream.write = self._print

    def leave(self) -> None:
        del self._stream.write

    def _print(self, text: str) -> int:
        name = str(sys._getframe(1).f_globals.get("__name__"))  # noqa: SLF001  # the only way to tell who prints
        if name.startswith(_NOT_OF_THE_SCENE) or not isinstance(text, str):
            return int(self._write(text))
        if self.said.tell() < MOST:
            self.said.write(text)
        known = self.before[self._again : self._again + len(text)]
        self._again += len(known)
        if text.startswith(known):
            new = text[len(known) :]
        else:
            new = self._line_up_to(self._again - len(known)) + text
            self._again = len(self.before)
        if new:
            self._write(new)
        return len(text)

    def _line_up_to(self, end: int) -> str:
        return self.before[self.before.rfind("\n", 0, end) + 1 : end]
