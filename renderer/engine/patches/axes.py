"""Faster versions of functions of Manim's axes that plots call for each of their points."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
from manim import Axes as ManimAxes
from manim import NumberLine as ManimNumberLine
from manim.mobject.graphing import number_line
from manim.mobject.graphing.scale import LinearBase

from renderer.engine.manim_types import Points
from renderer.mirrors import mirrors

_EXACT_INTEGERS = 2**53  # below it, each integer is also a float
_DIMENSIONS = 3
_MOST_DIRECTIONS = 16  # that are remembered
_MANIM_COORDS_TO_POINT = ManimAxes.coords_to_point
_MANIM_POINT_TO_NUMBER = ManimNumberLine.point_to_number
_MANIM_INTERPOLATE, _MANIM_NORMALIZE = number_line.interpolate, number_line.normalize
_MANIM_METHODS = [  # that these functions do not call, or less often
    (owner, name, getattr(owner, name))
    for owner, names in (
        (ManimNumberLine, ("get_end", "get_start", "get_start_and_end", "has_start_tip", "has_tip", "number_to_point")),
        (LinearBase, ("inverse_function",)),
    )
    for name in names
]
_METHODS = frozenset(name for _, name, _ in _MANIM_METHODS)

# of a number line: its scale, the first number and the distance to the last, and the points of these two
_Line: TypeAlias = tuple[float, float, float, list[float], list[float]]


@mirrors("manim.mobject.graphing.coordinate_systems:Axes.coords_to_point", sha256="d0ecb4c7055eccf7")
@mirrors("manim.mobject.graphing.number_line:NumberLine.number_to_point", sha256="2dd94ab665b53e9a")
@mirrors("manim.mobject.graphing.scale:LinearBase.inverse_function", sha256="a08f786cef963d4e")
@mirrors("manim.utils.bezier:interpolate", sha256="2fb07801609bfb97")
def coords_to_point(self: Any, *coords: Any) -> Points:
    """Return the point of some coordinates. For plain numbers, Python's floats are faster than numpy's arrays."""
    numbers = _read_numbers(coords)
    lines = numbers and _has_manim_functions() and _read_lines([self.x_axis, *self.axes.submobjects[1:]][: len(coords)])
    if not (numbers and lines):
        return _MANIM_COORDS_TO_POINT(self, *coords)  # type: ignore[no-any-return]
    shift = self._origin_shift([self.x_axis.x_min, self.x_axis.x_max])
    origin, place = _locate(lines[0], float(shift)), _locate(lines[0], numbers[0])
    for line, number in zip(lines[1:], numbers[1:], strict=False):
        point = _locate(line, number)
        place = [value + (other - zero) for value, other, zero in zip(place, point, origin, strict=True)]
    return np.array(place)


@mirrors("manim.mobject.graphing.number_line:NumberLine.point_to_number", sha256="788d7be36d605b68")
@mirrors("manim.utils.space_ops:normalize", sha256="73e398772d388c2c")
def point_to_number(self: Any, point: Any) -> Any:
    """Return the number of a point on the line. The line's direction is computed once while the line stands still."""
    ends = _find_ends(self) if _has_manim_functions() else None
    if ends is None:
        return _MANIM_POINT_TO_NUMBER(self, point)
    start, end = ends
    key = start.tobytes() + end.tobytes()
    if key not in _directions:
        if len(_directions) >= _MOST_DIRECTIONS:
            _directions.clear()
        direction = number_line.normalize(end - start)
        _directions[key] = direction, np.dot(end - start, direction)
    direction, length = _directions[key]
    proportion = np.dot(np.asarray(point) - start, direction) / length
    return self.scaling.function(number_line.interpolate(self.x_range[0], self.x_range[1], proportion))


_directions: dict[bytes, tuple[Points, Any]] = {}  # by both ends of a line: its direction, and its length along that


def _has_manim_functions() -> bool:
    return (
        number_line.interpolate is _MANIM_INTERPOLATE
        and number_line.normalize is _MANIM_NORMALIZE
        and all(getattr(owner, name) is method for owner, name, method in _MANIM_METHODS)
    )


def _read_numbers(coords: Sequence[Any]) -> list[float] | None:
    """Return the coordinates as floats; None if one is something else than a finite number."""
    for value in coords:
        kind = type(value)
        if kind is int:
            if not -_EXACT_INTEGERS < value < _EXACT_INTEGERS:
                return None
        elif not ((kind is float or kind is np.float64) and isfinite(value)):
            return None
    return [float(value) for value in coords]


def _read_lines(lines: Sequence[Any]) -> list[_Line] | None:
    """Return what ``_locate`` needs of the number lines; None if one is not linear, or of a class of the scene."""
    found: list[_Line] = []
    for line in lines:
        scaling, limits, ends = line.scaling, line.x_range, _find_ends(line)
        if ends is None or type(scaling) is not LinearBase or type(limits) is not np.ndarray:
            return None
        scale, (first, last) = scaling.scale_factor, limits.tolist()[:2]
        if limits.dtype != np.float64 or type(scale) not in {int, float} or not scale or first == last:
            return None
        if not _METHODS.isdisjoint(vars(scaling)):
            return None
        found.append((scale, first, last - first, ends[0].tolist(), ends[1].tolist()))
    return found


def _find_ends(line: Any) -> tuple[Points, Points] | None:
    """Return the first and the last point of a number line, at its tips if it has any; None for other lines."""
    values, points = vars(line), line.points
    if type(line) is not ManimNumberLine or not _METHODS.isdisjoint(values) or not len(points):
        return None
    start_tip, tip = values.get("start_tip"), values.get("tip")
    start = points[0] if start_tip is None or start_tip not in line.submobjects else start_tip.get_start()
    end = points[-1] if tip is None or tip not in line.submobjects else tip.get_start()
    is_usual = start.dtype == end.dtype == np.float64 and start.shape == end.shape == (_DIMENSIONS,)
    return (start, end) if is_usual else None


def _locate(line: _Line, number: float) -> list[float]:
    """Return the point of a number on a line, with the operations of Manim's ``number_to_point``."""
    scale, first, length, start, end = line
    alpha = (number / scale - first) / length
    rest = 1 - alpha
    return [rest * one + alpha * other for one, other in zip(start, end, strict=True)]
