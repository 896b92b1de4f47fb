"""Quicker versions of functions of Manim's mobjects, bit for bit the same."""

from __future__ import annotations

import inspect
from functools import lru_cache
from types import FunctionType
from typing import Any

import numpy as np
from manim import UP, Mobject, VMobject
from manim.utils import space_ops
from manim.utils.iterables import remove_list_redundancies
from manim.utils.space_ops import get_unit_normal
from numpy.typing import NDArray

Points = NDArray[np.float64]
_extremum = Mobject.get_extremum_along_dim
_anchors = VMobject.get_anchors
_splits = VMobject.get_subpath_split_indices_from_points
_num_points = Mobject.get_num_points
_rotation_matrix = space_ops.rotation_matrix
_lowest, _highest = np.minimum.reduce, np.maximum.reduce
_CURVE = 4  # points of a cubic curve


def get_family(self: Any, recurse: bool = True) -> list[Any]:  # noqa: ARG001
    """List the mobject and all below it; most have nothing below."""
    if not self.submobjects:
        return [self]
    family = [self]
    for member in self.submobjects:
        if member.submobjects:
            family.extend(member._iter_family({self}))  # noqa: SLF001
        else:
            family.append(member)
    return family if len(set(family)) == len(family) else remove_list_redundancies(family)


def family_members_with_points(self: Any) -> list[Any]:
    """List those of the family that have points."""
    return [
        member
        for member in self.get_family()
        if (len(member.points) if _has(member, "get_num_points", _num_points) else member.get_num_points()) > 0
    ]


def _has(mobject: Any, name: str, method: Any) -> bool:
    """Tell whether a mobject has Manim's own method still."""
    return getattr(type(mobject), name) is method and name not in vars(mobject)


def update(self: Any, dt: float = 0, recursive: bool = True) -> Any:
    """Apply all updaters, without building a signature object for each call."""
    if self.updating_suspended:
        return self
    for updater in self.updaters:
        if _takes_dt(updater):
            updater(self, dt)
        else:
            updater(self)
    if recursive:
        for member in self.submobjects:
            member.update(dt, recursive=recursive)
    return self


def _takes_dt(updater: Any) -> bool:
    if type(updater) is not FunctionType or updater.__dict__:
        return "dt" in inspect.signature(updater).parameters
    code = updater.__code__
    variadic = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return "dt" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + variadic]


def get_critical_point(self: Any, direction: Any) -> Points:
    """Find a corner, an edge centre or the centre of the bounding box."""
    result: Points = np.zeros(self.dim)
    points = self.get_points_defining_boundary()
    if len(points) == 0:
        return result
    if not _has(self, "get_extremum_along_dim", _extremum) or points.dtype != np.float64:
        for dim in range(self.dim):
            result[dim] = self.get_extremum_along_dim(points, dim=dim, key=np.array(direction[dim]))
        return result
    lows, highs = _lowest(points, 0).tolist(), _highest(points, 0).tolist()
    for dim in range(self.dim):
        low, high, key = lows[dim], highs[dim], direction[dim]
        if (low == 0 or high == 0) and points[:, dim].view(np.int64).any():
            low, high = points[:, dim].min(), points[:, dim].max()  # of 0.0 and -0.0 the order decides
        result[dim] = (low + high) / 2 if key == 0 else low if key < 0 else high
    return result


def get_points_defining_boundary(self: Any) -> Points:
    """Collect the anchors of the whole family."""
    anchors = [points for member in self.get_family() if len(points := _anchors_of(member))]
    return np.concatenate(anchors) if anchors else np.array(())


def _anchors_of(member: Any) -> Any:
    points = member.points
    count = len(points)
    regular = count != 1 and count % _CURVE == 0 and getattr(member, "n_points_per_cubic_curve", 0) == _CURVE
    if not regular or not _has(member, "get_anchors", _anchors):
        return member.get_anchors()
    return points.reshape(-1, _CURVE, points.shape[1])[:, :: _CURVE - 1].reshape(-1, points.shape[1])


def get_subpath_split_indices_from_points(self: Any, points: Any, n_dims: int = 3) -> Any:
    """Find where subpaths begin; in most paths each curve starts at the very point where the last one ended."""
    if self.n_points_per_cubic_curve == _CURVE and (count := len(points)) > _CURVE and isinstance(points, np.ndarray):
        starts = points[_CURVE::_CURVE, :n_dims]
        if (points[_CURVE - 1 :: _CURVE, :n_dims][: len(starts)] == starts).all():
            return np.array([[0, count]])
    return _splits(self, points, n_dims)


def get_3d_vmob_unit_normal(vmob: Any, point_index: int) -> Points:
    """Give the direction in which a surface faces at one of its points."""
    points = vmob.points
    count, at = len(points), point_index
    if len(_anchors_of(vmob)) <= 2:  # noqa: PLR2004
        return np.array(UP)
    before = at - 3 if at > 2 else count - 4  # noqa: PLR2004
    after = at + 3 if at < count - 3 else 3
    normal: Points = get_unit_normal(points[after] - points[at], points[before] - points[at])
    return np.array(UP) if np.linalg.norm(normal) == 0 else normal


def rotation_matrix(angle: Any, axis: Any, homogeneous: bool = False) -> Points:
    """Make the matrix of a rotation; many shapes turn by the same angle about the same axis."""
    direction = np.array(axis)
    if homogeneous or direction.shape != (3,) or direction.dtype != np.float64 or not isinstance(angle, int | float):
        return _rotation_matrix(angle, axis, homogeneous)  # type: ignore[no-any-return]
    return _rotation_of(float(angle).hex(), direction.tobytes()).copy("K")


@lru_cache(maxsize=64)
def _rotation_of(angle: str, axis: bytes) -> Points:
    return _rotation_matrix(float.fromhex(angle), np.frombuffer(axis))  # type: ignore[no-any-return]
