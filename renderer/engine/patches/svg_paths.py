"""Faster ways to parse and to transform SVG paths: a glyph occurs in many texts, and twice in the file of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from svgelements import svgelements

MAX_LENGTH = 8192  # characters of a path: longer ones are no glyphs
MAX_PATHS = 512

# a segment's class, its attributes, and which of them are points, with the attributes of those
_Recipe: TypeAlias = tuple[type, dict[str, Any], tuple[tuple[str, dict[str, float]], ...]]

_SVGELEMENTS_PARSE = svgelements.Path.parse
_SVGELEMENTS_REIFY = svgelements.Path.reify
_SEGMENTS = frozenset({  # all of these move only their points when they are transformed
    svgelements.Close, svgelements.CubicBezier, svgelements.Line, svgelements.Move, svgelements.QuadraticBezier,
})  # fmt: skip
_PLAIN_TYPES = (bool, type(None))
_Point = svgelements.Point
_new: Callable[[type], Any] = object.__new__
_kept: dict[str, list[_Recipe]] = {}


def parse(self: svgelements.Path, pathdef: str) -> None:
    """Parse a path's text, or make the segments that the same text gave before."""
    if self._segments or type(self) is not svgelements.Path or type(pathdef) is not str or len(pathdef) > MAX_LENGTH:
        _SVGELEMENTS_PARSE(self, pathdef)
    elif pathdef in _kept:
        self._segments = _make_segments(_kept[pathdef])
    else:
        _SVGELEMENTS_PARSE(self, pathdef)
        if (recipes := _describe_segments(self._segments)) is not None:
            if len(_kept) >= MAX_PATHS:
                del _kept[next(iter(_kept))]
            _kept[pathdef] = recipes


def _describe_segments(segments: Iterable[svgelements.PathSegment]) -> list[_Recipe] | None:
    """Return what ``_make_segments`` needs; None if the segments have other parts, or share points."""
    recipes: list[_Recipe] = []
    known: set[int] = set()
    for segment in segments:
        values = dict(vars(segment))
        points = {name: value for name, value in values.items() if type(value) is _Point}
        known.update(map(id, points.values()))
        is_usual = all(name in points or type(value) in _PLAIN_TYPES for name, value in values.items())
        if type(segment) not in _SEGMENTS or not is_usual or not all(map(_has_two_floats, points.values())):
            return None
        values.update(dict.fromkeys(points))  # in their places
        recipes.append((type(segment), values, tuple((name, dict(vars(point))) for name, point in points.items())))
    return recipes if len(known) == sum(len(points) for _, _, points in recipes) else None


def _has_two_floats(point: svgelements.Point) -> bool:
    values = vars(point)
    return values.keys() == {"x", "y"} and all(type(value) is float for value in values.values())


def _make_segments(recipes: list[_Recipe]) -> list[svgelements.PathSegment]:
    segments = []
    for kind, values, points in recipes:
        segment = _new(kind)
        attributes = segment.__dict__
        attributes.update(values)
        for name, numbers in points:
            attributes[name] = point = _new(_Point)
            point.__dict__.update(numbers)
        segments.append(segment)
    return segments


def reify(self: svgelements.Path) -> svgelements.Path:
    """Apply the path's transformation to its points, with the operations of ``Matrix.point_in_matrix_space``."""
    matrix, segments = self.transform, self._segments
    if type(matrix) is not svgelements.Matrix or not all(type(segment) in _SEGMENTS for segment in segments):
        return _SVGELEMENTS_REIFY(self)
    svgelements.GraphicObject.reify(self)
    svgelements.Transformable.reify(self)
    a, b, c, d, e, f = matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f
    for segment in segments:
        for point in segment.__dict__.values():
            if type(point) is _Point:
                x, y = point.x, point.y
                point.x = x * a + y * c + 1 * e
                point.y = x * b + y * d + 1 * f
    matrix.reset()
    return self
