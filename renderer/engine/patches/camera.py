"""Faster versions of methods of Manim's cameras that draw exactly the same."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from types import FunctionType
from typing import Any, TypeAlias, TypeGuard

import cairo
import numpy as np
from manim import Camera as ManimCamera
from manim import Mobject as ManimMobject
from manim import MovingCamera, MultiCamera
from manim import ThreeDCamera as ManimThreeDCamera
from manim.camera import three_d_camera
from manim.mobject.three_d.three_d_utils import (
    get_3d_vmob_end_corner,
    get_3d_vmob_end_corner_unit_normal,
    get_3d_vmob_start_corner,
    get_3d_vmob_start_corner_unit_normal,
)
from manim.utils.space_ops import normalize
from numpy.typing import NDArray

from renderer.engine.manim_types import Camera, Mobject, Points, ThreeDCamera, VMobject
from renderer.engine.patches.drawing_cache import DrawingCache, Lights
from renderer.engine.patches.mobject import has_splits_of_manim
from renderer.mirrors import mirrors
from renderer.video.frame import Pixels
from renderer.video.written_rows import WRITTEN_ROWS

CairoContext: TypeAlias = "cairo.Context[cairo.ImageSurface]"

# these draw by the functions here alone, which note on which rows
CAMERAS = frozenset({ManimCamera, MovingCamera, MultiCamera, ManimThreeDCamera})
_SMOOTH_ROWS = 2  # above and below a shape that antialiasing may change
GRADIENT_GETTER = "get_gradient_start_and_end_points"
_SHADING_FUNCTIONS = (
    "get_shaded_rgb",
    *(f"get_3d_vmob_{end}_corner{what}" for end in ("start", "end") for what in ("", "_unit_normal")),
)
# Manim's own functions, read before a scene or these patches can replace them
_MANIM_SHADING = [getattr(three_d_camera, name) for name in _SHADING_FUNCTIONS]
_MANIM_MODIFIED_RGBAS = ManimThreeDCamera.modified_rgbas
_MANIM_SET_PIXELS, _MANIM_DISPLAY_POINTS = ManimCamera.set_pixel_array, ManimCamera.display_point_cloud
_MANIM_REFERENCE_POINT = ManimMobject.get_z_index_reference_point

_sum = np.add.reduce
_CACHE = DrawingCache()


@mirrors("manim.camera.camera:Camera.transform_points_pre_display", sha256="d510b4cf82f1e9c3")
def transform_points_pre_display(self: object, mobject: Mobject, points: Points) -> Points:  # noqa: ARG001
    """Return the points; if any of them is not finite, return one point at the origin instead."""
    return points if isfinite(_sum(points, None)) or np.isfinite(points).all() else np.zeros((1, 3))


@mirrors("manim.camera.camera:Camera.set_cairo_context_path", sha256="391a359bc3d4a3eb")
def set_cairo_context_path(self: ThreeDCamera, ctx: CairoContext, vmobject: VMobject) -> ThreeDCamera:
    """Set the path of the shape. Cairo accepts Python's floats faster than numpy's."""
    points = self.transform_points_pre_display(vmobject, vmobject.points)
    count = len(points)
    if count == 0:
        return self
    size = vmobject.n_points_per_cubic_curve
    ctx.new_path()
    pairs = points[:, :2].tolist()
    if count % size == 0 and pairs[size::size] == pairs[size - 1 : -1 : size] and has_splits_of_manim(vmobject):
        splits = [[0, count]]  # each curve begins where the one before ends
    else:
        splits = vmobject.get_subpath_split_indices_from_points(points, n_dims=2).tolist()
    move_to, curve_to = ctx.move_to, ctx.curve_to
    for start, end in splits:
        if end - start < size:
            continue
        ctx.new_sub_path()
        move_to(*pairs[start])
        for at in range(start, end - size + 1, size):
            curve_to(*pairs[at + 1], *pairs[at + 2], *pairs[at + 3])
        if vmobject.consider_points_equals_2d(pairs[start], pairs[end - 1]):
            ctx.close_path()
    return self


@mirrors("manim.camera.camera:Camera.display_vectorized", sha256="815b1093dae26722")
@mirrors("manim.camera.camera:Camera.get_cairo_context", sha256="7ed9c1ca459d1f50")
@mirrors("manim.camera.camera:Camera.apply_stroke", sha256="8d88b4549bbbe4c2")
def display_shape(self: Any, vmobject: VMobject, ctx: CairoContext) -> Any:
    """Draw one shape, and note on which rows: those of its path, and those that the tips of its stroke may reach."""
    ctx.set_line_width(0)  # for shapes without a stroke
    self.set_cairo_context_path(ctx, vmobject)
    self.apply_stroke(ctx, vmobject, background=True)
    width = ctx.get_line_width()
    self.apply_fill(ctx, vmobject)
    self.apply_stroke(ctx, vmobject)
    _, low, _, high = ctx.path_extents()
    matrix = ctx.get_matrix()
    ends = low * matrix.yy + matrix.y0, high * matrix.yy + matrix.y0
    reach = max(width, ctx.get_line_width()) / 2 * ctx.get_miter_limit() * abs(matrix.yy) + _SMOOTH_ROWS
    WRITTEN_ROWS.add(min(ends) - reach, max(ends) + reach)
    return self


@mirrors("manim.camera.camera:Camera.set_pixel_array", sha256="24afb52c12a79bd1")
def set_pixel_array(self: Camera, *args: Any, **kwargs: Any) -> None:
    """Replace the pixels, and note it."""
    WRITTEN_ROWS.add_all()
    _MANIM_SET_PIXELS(self, *args, **kwargs)


@mirrors("manim.camera.camera:Camera.display_point_cloud", sha256="3a47a80d1d4ba6c2")
def display_point_cloud(self: Camera, *args: Any, **kwargs: Any) -> None:
    """Draw points, and note it. Manim writes all rows."""
    WRITTEN_ROWS.add_all()
    _MANIM_DISPLAY_POINTS(self, *args, **kwargs)


@mirrors("manim.camera.camera:Camera.set_cairo_context_color", sha256="2beef9503c11b2b1")
def set_cairo_context_color(
    self: ThreeDCamera, ctx: CairoContext, rgbas: NDArray[Any], vmobject: VMobject
) -> ThreeDCamera:
    """Set the colour to draw with: one colour, or a gradient."""
    if len(rgbas) == 1:
        color = np.asarray(rgbas[0]).tolist()
        ctx.set_source_rgba(color[2], color[1], color[0], color[3])
        return self
    pattern = cairo.LinearGradient(*_find_gradient(self, vmobject))
    offsets = (0.0, 1.0) if len(rgbas) == 2 else np.linspace(0, 1, len(rgbas))  # noqa: PLR2004
    for (red, green, blue, alpha), offset in zip(rgbas.tolist(), offsets, strict=True):
        pattern.add_color_stop_rgba(offset, blue, green, red, alpha)
    ctx.set_source(pattern)
    return self


def identify_axis_gradient(function: object) -> tuple[int, ...] | None:
    """Return a key of a mobject's own gradient function: equal keys, equal gradients. None for a scene's function.

    Manim sets such a function on each tick of a three-dimensional axis; it returns the gradient of the whole axis.
    """
    if not _is_of_manim(function):
        return None
    return (id(function.__code__), *(id(cell.cell_contents) for cell in function.__closure__ or ()))


def _is_of_manim(function: object) -> TypeGuard[FunctionType]:
    return type(function) is FunctionType and function.__module__.startswith("manim.")


def _find_gradient(camera: ThreeDCamera, vmobject: VMobject) -> list[float]:
    """Return the two ends of the shape's gradient on the screen: x, y, x, y."""
    function = vars(vmobject).get(GRADIENT_GETTER)
    axis = None if function is None else identify_axis_gradient(function)
    shape = _CACHE.get_shape(camera)
    if shape is None or (function is not None and axis is None):  # a scene's own function is called each time
        return _project_ends(camera, vmobject, vmobject.get_gradient_start_and_end_points())
    if shape.gradient is None:
        if axis is None or function is None:
            ends = vmobject.get_gradient_start_and_end_points()
        else:
            gradients = _CACHE.get_axis_gradients(camera)
            ends = gradients[axis] if axis in gradients else gradients.setdefault(axis, function())
        shape.gradient = _project_ends(camera, vmobject, ends)
    return shape.gradient


def _project_ends(camera: ThreeDCamera, vmobject: VMobject, ends: Points) -> list[float]:
    return [value for point in camera.transform_points_pre_display(vmobject, ends) for value in point[:2]]


@mirrors("manim.camera.three_d_camera:ThreeDCamera.get_mobjects_to_display", sha256="4e5fefb7db4316b3")
def get_mobjects_to_display(self: ThreeDCamera, *args: Any, **kwargs: Any) -> list[Mobject]:
    """Return the mobjects in the order of their distance. The centre of each group is computed only once."""
    towards_camera = self.get_rotation_matrix().T
    centers: dict[int, Points] = {}

    def distance(mobject: Any) -> Any:
        if not getattr(mobject, "shade_in_3d", False):
            return np.inf
        has_own = "get_z_index_reference_point" in vars(mobject)
        if has_own or type(mobject).get_z_index_reference_point is not _MANIM_REFERENCE_POINT:
            return np.dot(mobject.get_z_index_reference_point(), towards_camera)[2]
        group = getattr(mobject, "z_index_group", mobject)
        if id(group) not in centers:
            centers[id(group)] = group.get_center()
        return np.dot(centers[id(group)], towards_camera)[2]

    return sorted(ManimCamera.get_mobjects_to_display(self, *args, **kwargs), key=distance)


@mirrors("manim.camera.camera:Camera.display_multiple_non_background_colored_vmobjects", sha256="39d83d20edf45b8c")
def display_vmobjects(self: ThreeDCamera, vmobjects: Iterable[VMobject], pixel_array: Pixels) -> None:
    """Draw a group of shapes. The ticks of an axis share one gradient, and shapes that stand still keep their light."""
    _CACHE.begin_group(self)
    try:
        ManimCamera.display_multiple_non_background_colored_vmobjects(self, vmobjects, pixel_array)
    finally:
        _CACHE.end_group(self)


@mirrors("manim.camera.camera:Camera.display_vectorized", sha256="815b1093dae26722")
def display_vectorized(self: ThreeDCamera, vmobject: VMobject, ctx: CairoContext) -> ThreeDCamera:
    """Draw one shape. For a class of Manim, light and gradient are computed once for stroke and fill."""
    is_of_manim = type(vmobject).__module__.startswith("manim.")
    if is_of_manim:
        _CACHE.begin_shape(self)
    try:
        return ManimCamera.display_vectorized(self, vmobject, ctx)  # type: ignore[no-any-return]
    finally:
        _CACHE.end_shape(self)
        if not is_of_manim:  # the scene's own methods may have moved an axis
            _CACHE.get_axis_gradients(self).clear()


@mirrors("manim.camera.three_d_camera:ThreeDCamera.modified_rgbas", sha256="3d5557f61bc1caae")
def modified_rgbas(self: ThreeDCamera, vmobject: VMobject, rgbas: NDArray[Any]) -> NDArray[Any]:
    """Return the colours of a surface with light and shadow: one for each of two corners."""
    if not (self.should_apply_shading and vmobject.shade_in_3d and vmobject.get_num_points() > 0):
        return rgbas
    if [getattr(three_d_camera, name) for name in _SHADING_FUNCTIONS] != _MANIM_SHADING:
        return _MANIM_MODIFIED_RGBAS(self, vmobject, rgbas)  # type: ignore[no-any-return]
    shaded = rgbas.repeat(2, axis=0) if len(rgbas) < 2 else np.array(rgbas[:2])  # noqa: PLR2004
    start, end = _find_lights(self, vmobject)
    shaded[0, :3] = shaded[0, :3] + start
    shaded[1, :3] = shaded[1, :3] + end
    return shaded


def _find_lights(camera: ThreeDCamera, vmobject: VMobject) -> Lights:
    shape = _CACHE.get_shape(camera)
    if shape is None:
        return _compute_lights(camera, vmobject)
    if shape.lights is None:
        dependencies = vmobject.points.tobytes() + camera.light_source.points.tobytes()
        shape.lights = _CACHE.find_lights(vmobject, dependencies) or _compute_lights(camera, vmobject)
        _CACHE.keep_lights(vmobject, dependencies, shape.lights)
    return shape.lights


def _compute_lights(camera: ThreeDCamera, vmobject: VMobject) -> Lights:
    source = camera.light_source.points[0]
    return (
        _compute_light(get_3d_vmob_start_corner(vmobject), get_3d_vmob_start_corner_unit_normal(vmobject), source),
        _compute_light(get_3d_vmob_end_corner(vmobject), get_3d_vmob_end_corner_unit_normal(vmobject), source),
    )


@mirrors("manim.utils.color.core:get_shaded_rgb", sha256="cb7f7c3774da6d28")
def _compute_light(point: Points, unit_normal: Points, source: Points) -> NDArray[Any]:
    """Return the brightness that the light adds to (or takes from) a colour at a point."""
    light: NDArray[Any] = 0.5 * np.dot(unit_normal, normalize(source - point)) ** 3
    return light * 0.5 if light < 0 else light


@mirrors("manim.camera.three_d_camera:ThreeDCamera.project_points", sha256="ae0e2690b12b19a5")
def project_points(self: ThreeDCamera, points: Points) -> Points:
    """Return the points projected to the plane of the screen. The factor is computed only once for x and y."""
    focal_distance = self.get_focal_distance()
    moved: Points = np.dot(points - self.frame_center, self.get_rotation_matrix().T)
    zs = moved[:, 2]
    if self.exponential_projection:
        factor = np.exp(zs / focal_distance)
        is_behind = zs < 0
        factor[is_behind] = focal_distance / (focal_distance - zs[is_behind])
    else:
        depth = focal_distance - zs
        factor = focal_distance / depth
        factor[depth < 0] = 10**6
    factor = factor * self.get_zoom()
    moved[:, 0] *= factor
    moved[:, 1] *= factor
    return moved
