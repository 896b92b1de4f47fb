"""Faster versions of methods of Manim's mobjects that return exactly the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from types import FunctionType
from typing import Any, Protocol, TypeVar

import numpy as np
from manim import BLACK, UP, ManimColor
from manim import Mobject as ManimMobject
from manim import VMobject as ManimVMobject
from manim.mobject.types import vectorized_mobject
from manim.utils import space_ops
from manim.utils.iterables import remove_list_redundancies
from manim.utils.space_ops import get_unit_normal
from numpy.typing import NDArray

from renderer.engine.manim_types import Points, VMobject
from renderer.mirrors import mirrors

# Manim's own functions, read before a scene or these patches can replace them
_MANIM_EXTREMUM = ManimMobject.get_extremum_along_dim
_MANIM_ANCHORS = ManimVMobject.get_anchors
_MANIM_SPLITS = ManimVMobject.get_subpath_split_indices_from_points
_MANIM_CURVE_FUNCTION = ManimVMobject.get_nth_curve_function
_MANIM_PIECES = ManimVMobject.get_nth_curve_length_pieces
_MANIM_NUM_POINTS = ManimMobject.get_num_points
_MANIM_ROTATION_MATRIX = space_ops.rotation_matrix
_MANIM_RGBAS = ManimVMobject.generate_rgbas_array
_MANIM_SHEEN = ManimVMobject.get_sheen_factor
_MANIM_TO_RGBA = ManimColor.to_rgba_with_alpha
_MANIM_INTERPOLATE_COLOR = ManimVMobject.interpolate_color
_MANIM_INTERPOLATE = vectorized_mobject.interpolate
_COLORS = (
    "fill_rgbas", "stroke_rgbas", "background_stroke_rgbas", "stroke_width", "background_stroke_width",
    "sheen_direction", "sheen_factor",
)  # fmt: skip

_min_of_rows, _max_of_rows = np.minimum.reduce, np.maximum.reduce
_CURVE_POINTS = 4  # points of a cubic curve
_MAX_SPLITS = 16  # of a path; for more, numpy is quicker


class _Mobject(Protocol):
    """The attributes of a mobject that this module uses."""

    dim: int
    points: Points
    submobjects: list[_Mobject]
    updaters: list[Callable[..., object]]
    updating_suspended: bool

    def get_family(self) -> list[_Mobject]: ...
    def _iter_family(self, seen: set[_Mobject]) -> Iterator[_Mobject]: ...
    def update(self, dt: float, recursive: bool) -> object: ...
    def get_num_points(self) -> int: ...
    def get_anchors(self) -> Points: ...
    def get_points_defining_boundary(self) -> Points: ...
    def get_extremum_along_dim(self, points: Points, dim: int, key: Points) -> float: ...


MobjectT = TypeVar("MobjectT", bound=_Mobject)


@mirrors("manim.mobject.mobject:Mobject.get_family", sha256="edabb3005f51e45c")
@mirrors("manim.mobject.mobject:Mobject._iter_family", sha256="9fe5b3319345af40")
def get_family(self: _Mobject, recurse: bool = True) -> list[_Mobject]:  # noqa: ARG001
    """Return the mobject and all its descendants; without the search if it has none, as most mobjects."""
    if not self.submobjects:
        return [self]
    family = [self]
    for member in self.submobjects:
        if member.submobjects:
            family.extend(member._iter_family({self}))  # noqa: SLF001
        else:
            family.append(member)
    return family if len(set(family)) == len(family) else remove_list_redundancies(family)


@mirrors("manim.mobject.mobject:Mobject.family_members_with_points", sha256="a79e5cdb293bb40d")
def family_members_with_points(self: _Mobject) -> list[_Mobject]:
    """Return the members of the family that have points."""
    return [
        member
        for member in self.get_family()
        if (
            len(member.points)
            if _has_manim_method(member, "get_num_points", _MANIM_NUM_POINTS)
            else member.get_num_points()
        )
        > 0
    ]


def _has_manim_method(mobject: object, name: str, method: object) -> bool:
    """Return whether the mobject still has Manim's method: neither the scene nor a subclass replaced it."""
    return getattr(type(mobject), name) is method and name not in vars(mobject)


@mirrors("manim.mobject.mobject:Mobject.update", sha256="75206b1368a79066")
def update(self: MobjectT, dt: float = 0, recursive: bool = True) -> MobjectT:
    """Call all updaters. Faster, because no ``inspect.signature`` is made to see if one has a parameter ``dt``."""
    if self.updating_suspended:
        return self
    for updater in self.updaters:
        if _has_parameter_dt(updater):
            updater(self, dt)
        else:
            updater(self)
    if recursive:
        for member in self.submobjects:
            member.update(dt, recursive=recursive)
    return self


def _has_parameter_dt(updater: Callable[..., object]) -> bool:
    if type(updater) is not FunctionType or updater.__dict__:  # attributes may change the signature
        return "dt" in inspect.signature(updater).parameters
    code = updater.__code__
    variadic = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return "dt" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + variadic]


@mirrors("manim.mobject.mobject:Mobject.get_critical_point", sha256="e86583e43b7cd538")
@mirrors("manim.mobject.mobject:Mobject.get_extremum_along_dim", sha256="e7bdf3153fc30ae5")
def get_critical_point(self: _Mobject, direction: Sequence[float]) -> Points:
    """Return a corner, the centre of an edge or the centre of the bounding box."""
    result: Points = np.zeros(self.dim)
    points = self.get_points_defining_boundary()
    if len(points) == 0:
        return result
    if not _has_manim_method(self, "get_extremum_along_dim", _MANIM_EXTREMUM) or points.dtype != np.float64:
        for dim in range(self.dim):
            result[dim] = self.get_extremum_along_dim(points, dim=dim, key=np.array(direction[dim]))
        return result
    lows, highs = _min_of_rows(points, 0).tolist(), _max_of_rows(points, 0).tolist()
    for dim in range(self.dim):
        low, high, key = lows[dim], highs[dim], direction[dim]
        if (low == 0 or high == 0) and points[:, dim].view(np.int64).any():
            low, high = points[:, dim].min(), points[:, dim].max()  # 0.0 or -0.0, as Manim's order of reduction has it
        result[dim] = (low + high) / 2 if key == 0 else low if key < 0 else high
    return result


@mirrors("manim.mobject.types.vectorized_mobject:VMobject.get_points_defining_boundary", sha256="fce857b49dcdbb29")
def get_points_defining_boundary(self: _Mobject) -> Points:
    """Return the anchors of the whole family."""
    anchors = [points for member in self.get_family() if len(points := _get_anchors(member))]
    return np.concatenate(anchors) if anchors else np.array(())


@mirrors("manim.mobject.types.vectorized_mobject:VMobject.get_anchors", sha256="62e01f79039804d3")
def _get_anchors(member: _Mobject) -> Points:
    points: Points = member.points
    count = len(points)
    is_regular = count != 1 and count % _CURVE_POINTS == 0
    is_cubic = getattr(member, "n_points_per_cubic_curve", 0) == _CURVE_POINTS
    if not (is_regular and is_cubic and _has_manim_method(member, "get_anchors", _MANIM_ANCHORS)):
        return member.get_anchors()
    return points.reshape(-1, _CURVE_POINTS, points.shape[1])[:, :: _CURVE_POINTS - 1].reshape(-1, points.shape[1])


@mirrors(
    "manim.mobject.types.vectorized_mobject:VMobject.get_subpath_split_indices_from_points", sha256="782a7575b1e2717a"
)
def get_subpath_split_indices_from_points(self: VMobject, points: Points, n_dims: int = 3) -> NDArray[np.int64]:
    """Return the indices where subpaths begin and end. Only points that are not equal are compared closely."""
    count = len(points)
    is_usual = isinstance(points, np.ndarray) and points.dtype == np.float64
    if not is_usual or self.n_points_per_cubic_curve != _CURVE_POINTS or count <= _CURVE_POINTS:
        return _MANIM_SPLITS(self, points, n_dims)  # type: ignore[no-any-return]
    starts = points[_CURVE_POINTS::_CURVE_POINTS, :n_dims]
    ends = points[_CURVE_POINTS - 1 :: _CURVE_POINTS, :n_dims][: len(starts)]
    is_different = ends != starts
    if not is_different.any():
        return np.array([[0, count]])
    at = np.flatnonzero(is_different.any(axis=1))
    if len(at) > _MAX_SPLITS:
        return _MANIM_SPLITS(self, points, n_dims)  # type: ignore[no-any-return]
    tolerance = self.tolerance_for_point_equality
    pairs = zip(at.tolist(), ends[at].tolist(), starts[at].tolist(), strict=True)
    splits = [
        (curve + 1) * _CURVE_POINTS
        for curve, end, start in pairs
        if not all(_is_close(one, other, tolerance) for one, other in zip(end, start, strict=True))
    ]
    return np.array(list(pairwise([0, *splits, count])))


def has_splits_of_manim(shape: VMobject) -> bool:
    """Return whether the scene has no function of its own for where the path of the shape is split."""
    name = "get_subpath_split_indices_from_points"
    return _has_manim_method(shape, name, get_subpath_split_indices_from_points)


def _is_close(end: float, start: float, tolerance: float) -> bool:
    difference = abs(end - start)
    return end == start or (difference <= tolerance + 1.0e-5 * abs(start) and isfinite(difference))


@mirrors("manim.mobject.types.vectorized_mobject:VMobject.get_nth_curve_length_pieces", sha256="aec812ff143c222a")
@mirrors("manim.utils.bezier:bezier", sha256="0e9952fe85120b83")
def get_nth_curve_length_pieces(self: Any, n: int, sample_points: int | None = None) -> NDArray[np.float64]:
    """Return the lengths of short pieces of a curve. Their ends are computed at once, with the same operations."""
    count = 10 if sample_points is None else sample_points
    is_usual = self.points.dtype == np.float64 and type(count) is int and count > 1
    is_cubic = self.n_points_per_cubic_curve == _CURVE_POINTS
    if not (is_usual and is_cubic) or not _has_manim_method(self, "get_nth_curve_function", _MANIM_CURVE_FUNCTION):
        return _MANIM_PIECES(self, n, sample_points)  # type: ignore[no-any-return]
    points: Points = self.get_nth_curve_function(n)(_divide(count))
    lengths: NDArray[np.float64] = np.linalg.norm(points[1:] - points[:-1], axis=1)
    return lengths


@lru_cache(maxsize=8)
def _divide(count: int) -> NDArray[np.float64]:
    """Return ``count`` numbers from 0 to 1, as a column."""
    return np.linspace(0, 1, count)[:, np.newaxis]


@mirrors("manim.mobject.types.vectorized_mobject:VMobject.interpolate_color", sha256="92cde4939f7e2054")
@mirrors("manim.utils.bezier:interpolate", sha256="2fb07801609bfb97")
def interpolate_color(self: VMobject, mobject1: VMobject, mobject2: VMobject, alpha: float) -> VMobject:
    """Interpolate colours and widths between two shapes, without a call for each of them."""
    if alpha == 1 or vectorized_mobject.interpolate is not _MANIM_INTERPOLATE:
        return _MANIM_INTERPOLATE_COLOR(self, mobject1, mobject2, alpha)  # type: ignore[no-any-return]
    start = 1 - alpha
    for name in _COLORS:
        setattr(self, name, start * getattr(mobject1, name) + alpha * getattr(mobject2, name))
    return self


@mirrors("manim.mobject.types.vectorized_mobject:VMobject.generate_rgbas_array", sha256="a59fed21bab2fbbc")
@mirrors("manim.utils.color.core:ManimColor.to_rgba_with_alpha", sha256="fbc31bdd1c97e47b")
def generate_rgbas_array(self: VMobject, color: Any, opacity: Any) -> Points:
    """Return one colour with its opacity as an array of one row, without the steps that gradients need."""
    is_plain = (color is None or type(color) is ManimColor) and (opacity is None or type(opacity) in {float, int})
    is_manim = ManimColor.to_rgba_with_alpha is _MANIM_TO_RGBA
    if not (
        is_plain and is_manim and _has_manim_method(self, "get_sheen_factor", _MANIM_SHEEN) and not self.sheen_factor
    ):
        return _MANIM_RGBAS(self, color, opacity)  # type: ignore[no-any-return]
    rgbas = np.empty((1, 4))
    rgbas[0, :3] = (BLACK if color is None else color)._internal_value[:3]  # noqa: SLF001
    rgbas[0, 3] = 0.0 if opacity is None else opacity
    return rgbas


@mirrors("manim.mobject.three_d.three_d_utils:get_3d_vmob_unit_normal", sha256="5e989f0447fd6189")
def get_3d_vmob_unit_normal(vmob: _Mobject, point_index: int) -> Points:
    """Return the direction in which a surface faces at one of its points."""
    points = vmob.points
    count, at = len(points), point_index
    if len(_get_anchors(vmob)) <= 2:  # noqa: PLR2004
        return np.array(UP)
    before = at - 3 if at > 2 else count - 4  # noqa: PLR2004
    after = at + 3 if at < count - 3 else 3
    normal: Points = get_unit_normal(points[after] - points[at], points[before] - points[at])
    return np.array(UP) if np.linalg.norm(normal) == 0 else normal


@mirrors("manim.utils.space_ops:rotation_matrix", sha256="4a5204da768bae58")
def rotation_matrix(angle: float, axis: Sequence[float], homogeneous: bool = False) -> Points:
    """Return the matrix of a rotation. The last ones are kept: many shapes turn by the same angle and axis."""
    direction = np.array(axis)
    if homogeneous or direction.shape != (3,) or direction.dtype != np.float64 or not isinstance(angle, int | float):
        return _MANIM_ROTATION_MATRIX(angle, axis, homogeneous)  # type: ignore[no-any-return]
    return _compute_rotation(float(angle).hex(), direction.tobytes()).copy("K")


@lru_cache(maxsize=64)
def _compute_rotation(angle: str, axis: bytes) -> Points:
    return _MANIM_ROTATION_MATRIX(float.fromhex(angle), np.frombuffer(axis))  # type: ignore[no-any-return]
