"""Hides repeated output when a scene is rendered again from the beginning: each line is printed only once."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any, Self

MAX_CHARACTERS = 2**20  # remembered of each stream
_NOT_OF_SCENE = ("manim.", "rich.", "renderer.", "backends.")


class OutputReplay:
    """Records what a scene prints within a ``with`` block.

    ``before`` is what an earlier attempt printed, by stream ("stdout", "stderr"). As long as the output is the same, it
    is not printed again; from the first difference on, everything is printed.
    """

    def __init__(self, before: Mapping[str, str]) -> None:
        self._before = before
        self._streams: dict[str, _Stream] = {}

    @property
    def printed(self) -> dict[str, str]:
        """By stream, the output of this attempt or of the one before, whichever is longer."""
        return {name: max(stream.before, stream.printed.getvalue(), key=len) for name, stream in self._streams.items()}

    def __enter__(self) -> Self:
        for name in ("stdout", "stderr"):
            if stream := getattr(sys, name):
                self._streams[name] = _Stream(stream, self._before.get(name, ""))
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams.values():
            stream.restore()


class _Stream:
    """Replaces the method ``write`` of one stream until ``restore`` is called."""

    def __init__(self, stream: Any, before: str) -> None:
        self.before, self.printed = before, io.StringIO()
        self._repeated = 0  # characters of ``before`` that were printed again
        self._stream, self._write = stream, stream.write
        stream.write = self._record

    def restore(self) -> None:
        del self._stream.write

    def _record(self, text: str) -> int:
        name = str(sys._getframe(1).f_globals.get("__name__"))  # noqa: SLF001  # only the stack shows who prints
        if name.startswith(_NOT_OF_SCENE) or not isinstance(text, str):
            return int(self._write(text))
        if self.printed.tell() < MAX_CHARACTERS:
            self.printed.write(text)
        if new := self._find_new(text):
            self._write(new)
        return len(text)

    def _find_new(self, text: str) -> str:
        """Return the part of the text that is new. The first new part starts at the beginning of its line."""
        known = self.before[self._repeated : self._repeated + len(text)]
        if text.startswith(known):
            self._repeated += len(known)
            return text[len(known) :]
        line_start = self.before.rfind("\n", 0, self._repeated) + 1
        beginning = self.before[line_start : self._repeated]
        self._repeated = len(self.before)
        return beginning + text
