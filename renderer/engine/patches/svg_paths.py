"""Keeps the SVG paths that were parsed last: a glyph occurs in many texts, and twice in the file of each."""

from __future__ import annotations

import copy

from svgelements import svgelements

MAX_LENGTH = 8192  # characters of a path: longer ones are no glyphs
MAX_PATHS = 512

_SVGELEMENTS_PARSE = svgelements.Path.parse
_kept: dict[str, list[svgelements.PathSegment]] = {}  # never changed, only copied


def parse(self: svgelements.Path, pathdef: str) -> None:
    """Parse a path's text, or copy the segments that the same text gave before."""
    if self._segments or type(self) is not svgelements.Path or type(pathdef) is not str or len(pathdef) > MAX_LENGTH:
        _SVGELEMENTS_PARSE(self, pathdef)
    elif pathdef in _kept:
        self._segments = copy.deepcopy(_kept[pathdef])
    else:
        _SVGELEMENTS_PARSE(self, pathdef)
        if len(_kept) >= MAX_PATHS:
            del _kept[next(iter(_kept))]
        _kept[pathdef] = copy.deepcopy(self._segments)
