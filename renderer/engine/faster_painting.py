"""Quicker versions of functions of Manim's cameras, bit for bit the same."""

from __future__ import annotations

from typing import Any

import cairo
import numpy as np
from manim import Camera, Mobject
from manim.mobject.three_d.three_d_utils import (
    get_3d_vmob_end_corner,
    get_3d_vmob_end_corner_unit_normal,
    get_3d_vmob_start_corner,
    get_3d_vmob_start_corner_unit_normal,
)
from manim.utils.space_ops import normalize
from numpy.typing import NDArray

Rows = NDArray[np.float64]
_display = Camera.display_vectorized
_to_display = Camera.get_mobjects_to_display
_reference_point = Mobject.get_z_index_reference_point


def set_cairo_context_path(self: Any, ctx: Any, vmobject: Any) -> Any:
    """Hand the path to cairo as plain floats."""
    points = self.transform_points_pre_display(vmobject, vmobject.points)
    if len(points) == 0:
        return self
    size = vmobject.n_points_per_cubic_curve
    ctx.new_path()
    splits = vmobject.get_subpath_split_indices_from_points(points, n_dims=2)
    pairs = points[:, :2].tolist()
    move_to, curve_to = ctx.move_to, ctx.curve_to
    for start, end in splits.tolist():
        if end - start < size:
            continue
        ctx.new_sub_path()
        move_to(*pairs[start])
        for at in range(start, end - size + 1, size):
            curve_to(*pairs[at + 1], *pairs[at + 2], *pairs[at + 3])
        if vmobject.consider_points_equals_2d(pairs[start], pairs[end - 1]):
            ctx.close_path()
    return self


def set_cairo_context_color(self: Any, ctx: Any, rgbas: Any, vmobject: Any) -> Any:
    """Set one colour, or a gradient."""
    if len(rgbas) == 1:
        ctx.set_source_rgba(*rgbas[0][2::-1], rgbas[0][3])
        return self
    points = self.transform_points_pre_display(vmobject, vmobject.get_gradient_start_and_end_points())
    pattern = cairo.LinearGradient(*(value for point in points for value in point[:2]))
    offsets = (0.0, 1.0) if len(rgbas) == 2 else np.linspace(0, 1, len(rgbas))  # noqa: PLR2004
    for rgba, offset in zip(rgbas, offsets, strict=True):
        pattern.add_color_stop_rgba(offset, rgba[2], rgba[1], rgba[0], rgba[3])
    ctx.set_source(pattern)
    return self


def get_mobjects_to_display(self: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """Sort by the distance from the camera; a group that many shapes are sorted by is measured once."""
    towards = self.get_rotation_matrix().T
    centres: dict[int, Any] = {}

    def distance(mobject: Any) -> Any:
        if not getattr(mobject, "shade_in_3d", False):
            return np.inf
        if type(mobject).get_z_index_reference_point is not _reference_point:
            return np.dot(mobject.get_z_index_reference_point(), towards)[2]
        group = getattr(mobject, "z_index_group", mobject)
        if id(group) not in centres:
            centres[id(group)] = group.get_center()
        return np.dot(centres[id(group)], towards)[2]

    return sorted(_to_display(self, *args, **kwargs), key=distance)


def display_vectorized(self: Any, vmobject: Any, ctx: Any) -> Any:
    """Paint one shape; its stroke and its filling share their light."""
    vars(self).pop("_light", None)
    try:
        return _display(self, vmobject, ctx)
    finally:
        vars(self).pop("_light", None)


def modified_rgbas(self: Any, vmobject: Any, rgbas: Any) -> Any:
    """Add light or shadow at both ends of a surface."""
    if not (self.should_apply_shading and vmobject.shade_in_3d and vmobject.get_num_points() > 0):
        return rgbas
    shaded = rgbas.repeat(2, axis=0) if len(rgbas) < 2 else np.array(rgbas[:2])  # noqa: PLR2004
    start, end = _lights(self, vmobject)
    shaded[0, :3] = shaded[0, :3] + start
    shaded[1, :3] = shaded[1, :3] + end
    return shaded


def _lights(self: Any, vmobject: Any) -> tuple[Any, Any]:
    kept = vars(self).get("_light")
    if kept and kept[0] is vmobject:
        return kept[1]  # type: ignore[no-any-return]
    sun = self.light_source.points[0]
    lights = (
        _light(get_3d_vmob_start_corner(vmobject), get_3d_vmob_start_corner_unit_normal(vmobject), sun),
        _light(get_3d_vmob_end_corner(vmobject), get_3d_vmob_end_corner_unit_normal(vmobject), sun),
    )
    if type(vmobject).__module__.startswith("manim."):  # another's painting may move it
        self._light = (vmobject, lights)
    return lights


def _light(point: Any, normal: Any, sun: Any) -> Any:
    light = 0.5 * np.dot(normal, normalize(sun - point)) ** 3
    return light * 0.5 if light < 0 else light


def project_points(self: Any, points: Any) -> Rows:
    """Project points to the screen's plane."""
    focal_distance = self.get_focal_distance()
    moved: Rows = np.dot(points - self.frame_center, self.get_rotation_matrix().T)
    zs = moved[:, 2]
    if self.exponential_projection:
        factor = np.exp(zs / focal_distance)
        nearer = zs < 0
        factor[nearer] = focal_distance / (focal_distance - zs[nearer])
    else:
        depth = focal_distance - zs
        factor = focal_distance / depth
        factor[depth < 0] = 10**6
    factor = factor * self.get_zoom()
    moved[:, 0] *= factor
    moved[:, 1] *= factor
    return moved
