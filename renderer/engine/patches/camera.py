"""Quicker versions of functions of Manim's cameras, bit for bit the same."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import cairo
import numpy as np
from manim import Camera, Mobject, ThreeDCamera
from manim.camera import three_d_camera
from manim.mobject.three_d.three_d_utils import (
    get_3d_vmob_end_corner,
    get_3d_vmob_end_corner_unit_normal,
    get_3d_vmob_start_corner,
    get_3d_vmob_start_corner_unit_normal,
)
from manim.utils.space_ops import normalize
from numpy.typing import NDArray

Rows = NDArray[np.float64]
GRADIENT = "get_gradient_start_and_end_points"
_modified = ThreeDCamera.modified_rgbas
_LIGHTS = (
    "get_shaded_rgb",
    *(f"get_3d_vmob_{end}_corner{what}" for end in ("start", "end") for what in ("", "_unit_normal")),
)
_shading = [getattr(three_d_camera, name) for name in _LIGHTS]
_reference_point = Mobject.get_z_index_reference_point


class _Lately:
    """What was found out about the shapes of this frame and the last one."""

    def __init__(self) -> None:
        self._last: dict[int, Any] = {}
        self._now: dict[int, Any] = {}

    def turn(self) -> None:
        """Begin a frame, or a part of it."""
        self._last, self._now = self._now, {}

    def get(self, shape: Any, given: bytes) -> Any:
        """Give what was put for the shape, if it was found out from the same."""
        kept = self._last.get(id(shape))
        return kept[2] if kept and kept[0] is shape and kept[1] == given else None

    def put(self, shape: Any, given: bytes, value: Any) -> None:
        """Keep what was found out about a shape."""
        self._now[id(shape)] = (shape, given, value)


_lit = _Lately()


def transform_points_pre_display(self: Any, mobject: Any, points: Any) -> Any:  # noqa: ARG001
    """Leave out points that are nowhere."""
    return points if np.isfinite(points).all() else np.zeros((1, 3))


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
    pattern = cairo.LinearGradient(*_gradient(self, vmobject))
    offsets = (0.0, 1.0) if len(rgbas) == 2 else np.linspace(0, 1, len(rgbas))  # noqa: PLR2004
    for (red, green, blue, alpha), offset in zip(rgbas.tolist(), offsets, strict=True):
        pattern.add_color_stop_rgba(offset, blue, green, red, alpha)
    ctx.set_source(pattern)
    return self


def gradient_of_axis(function: Any) -> tuple[int, ...] | None:
    """Tell what the gradient is about that Manim gives to each mark of an axis in space; None for a scene's own."""
    if type(function) is not FunctionType or not function.__module__.startswith("manim."):
        return None
    return (id(function.__code__), *(id(cell.cell_contents) for cell in function.__closure__ or ()))


def _gradient(camera: Any, vmobject: Any) -> list[float]:
    """Find both ends of a gradient on the screen: x, y, x, y."""
    function = vars(vmobject).get(GRADIENT)
    about = None if function is None else gradient_of_axis(function)
    shape = vars(camera).get("_shape")
    if shape is None or (function is not None and about is None):  # a scene's own code is asked each time
        return _on_screen(camera, vmobject, vmobject.get_gradient_start_and_end_points())
    if "gradient" not in shape:
        axes = vars(camera).get("_axes", {})
        if about is None:
            ends = vmobject.get_gradient_start_and_end_points()
        else:
            ends = axes[about] = axes.get(about) or function()
        shape["gradient"] = _on_screen(camera, vmobject, ends)
    return shape["gradient"]  # type: ignore[no-any-return]


def _on_screen(camera: Any, vmobject: Any, ends: Any) -> list[float]:
    return [value for point in camera.transform_points_pre_display(vmobject, ends) for value in point[:2]]


def get_mobjects_to_display(self: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """Sort by the distance from the camera; a group that many shapes are sorted by is measured once."""
    towards = self.get_rotation_matrix().T
    centres: dict[int, Any] = {}

    def distance(mobject: Any) -> Any:
        if not getattr(mobject, "shade_in_3d", False):
            return np.inf
        own = "get_z_index_reference_point" in vars(mobject)
        if own or type(mobject).get_z_index_reference_point is not _reference_point:
            return np.dot(mobject.get_z_index_reference_point(), towards)[2]
        group = getattr(mobject, "z_index_group", mobject)
        if id(group) not in centres:
            centres[id(group)] = group.get_center()
        return np.dot(centres[id(group)], towards)[2]

    return sorted(Camera.get_mobjects_to_display(self, *args, **kwargs), key=distance)


def display_vmobjects(self: Any, vmobjects: Any, pixel_array: Any) -> None:
    """Paint shapes; all marks of an axis share its gradient."""
    self._axes = {}
    _lit.turn()
    try:
        Camera.display_multiple_non_background_colored_vmobjects(self, vmobjects, pixel_array)
    finally:
        vars(self).pop("_axes", None)


def display_vectorized(self: Any, vmobject: Any, ctx: Any) -> Any:
    """Paint one shape; its stroke and its filling share light and gradient."""
    manims = type(vmobject).__module__.startswith("manim.")
    if manims:
        self._shape = {}
    try:
        return Camera.display_vectorized(self, vmobject, ctx)
    finally:
        vars(self).pop("_shape", None)
        if not manims:  # a scene's own painting may have moved an axis
            vars(self).get("_axes", {}).clear()


def modified_rgbas(self: Any, vmobject: Any, rgbas: Any) -> Any:
    """Add light or shadow at both ends of a surface."""
    if not (self.should_apply_shading and vmobject.shade_in_3d and vmobject.get_num_points() > 0):
        return rgbas
    if [getattr(three_d_camera, name) for name in _LIGHTS] != _shading:
        return _modified(self, vmobject, rgbas)
    shaded = rgbas.repeat(2, axis=0) if len(rgbas) < 2 else np.array(rgbas[:2])  # noqa: PLR2004
    start, end = _lights(self, vmobject)
    shaded[0, :3] = shaded[0, :3] + start
    shaded[1, :3] = shaded[1, :3] + end
    return shaded


def _lights(camera: Any, vmobject: Any) -> tuple[Any, Any]:
    shape = vars(camera).get("_shape")
    if shape is None:
        return _computed_lights(camera, vmobject)
    if "lights" not in shape:
        given = vmobject.points.tobytes() + camera.light_source.points.tobytes()
        shape["lights"] = _lit.get(vmobject, given) or _computed_lights(camera, vmobject)
        _lit.put(vmobject, given, shape["lights"])
    return shape["lights"]  # type: ignore[no-any-return]


def _computed_lights(camera: Any, vmobject: Any) -> tuple[Any, Any]:
    sun = camera.light_source.points[0]
    return (
        _light(get_3d_vmob_start_corner(vmobject), get_3d_vmob_start_corner_unit_normal(vmobject), sun),
        _light(get_3d_vmob_end_corner(vmobject), get_3d_vmob_end_corner_unit_normal(vmobject), sun),
    )


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
