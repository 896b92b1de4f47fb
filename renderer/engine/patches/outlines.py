"""Copies glyphs without the SVG path that each was made of, until the scene asks for one: few scenes do.

The attribute ``path_obj`` of ``VMobjectFromSVGPath`` is a descriptor then. In the instance's own attributes, an
``Outline`` stands for the path.
"""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from typing import Any

from svgelements import svgelements

ATTRIBUTE = "path_obj"
PROTOCOL = 4  # with 5, arrays would not own their data


class Outline:
    """A path. Until the scene has seen it, copies share its pickled form, and none of them has the path itself."""

    __slots__ = ("_is_seen", "_path", "_pickled")

    def __init__(self, path: svgelements.Path | None, pickled: bytes = b"") -> None:
        self._path, self._pickled, self._is_seen = path, pickled, False

    def give(self) -> svgelements.Path:
        """Return the path. From now on the scene may change it."""
        self._path, self._pickled, self._is_seen = self.read(), b"", True
        return self._path

    def read(self) -> svgelements.Path:
        """Return the path, or one like it: it must not be changed."""
        return pickle.loads(self._pickled) if self._path is None else self._path  # noqa: S301  # what was pickled here

    def __deepcopy__(self, memo: dict[int, Any]) -> Outline:
        """Return a deep copy."""
        if (known := memo.get(identity := id(self))) is not None:
            return known  # type: ignore[no-any-return]
        self._pickle()
        memo[identity] = result = Outline(copy.deepcopy(self._path, memo), self._pickled)
        return result

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to make a copy that does not share the path."""
        self._pickle()
        return Outline, (self._path, self._pickled)

    def _pickle(self) -> None:
        """Replace a path that the scene has not seen by its pickled form, if it has one."""
        if self._path is not None and not self._is_seen:
            with suppress(AttributeError, RecursionError, TypeError, pickle.PicklingError):
                self._pickled = pickle.dumps(self._path, PROTOCOL)
                self._path = None


class PathAttribute:
    """The descriptor: reads and writes the path itself."""

    def __get__(self, glyph: Any, kind: type) -> Any:
        """Return the path; raise AttributeError if the glyph has none."""
        if glyph is None or ATTRIBUTE not in vars(glyph):
            raise AttributeError(f"{kind.__name__!r} object has no attribute {ATTRIBUTE!r}")
        value = vars(glyph)[ATTRIBUTE]
        return value.give() if type(value) is Outline else value

    def __set__(self, glyph: Any, value: object) -> None:
        """Set the attribute."""
        vars(glyph)[ATTRIBUTE] = value

    def __delete__(self, glyph: Any) -> None:
        """Delete the attribute; raise AttributeError if the glyph has none."""
        if vars(glyph).pop(ATTRIBUTE, None) is None:
            raise AttributeError(ATTRIBUTE)


def seal(glyph: Any) -> None:
    """Keep the path of a glyph as one that the scene has not seen: nobody else has it."""
    path = vars(glyph)[ATTRIBUTE]
    if type(path) is svgelements.Path:
        vars(glyph)[ATTRIBUTE] = Outline(path)
