"""Computes digests of frames without drawing them: equal digests mean equal pixels.

A digest covers exactly what Manim's drawing code reads. If drawing could depend on anything else, such as the scene's
own methods, there is no digest, and the chunk is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from hashlib import blake2b
from math import isfinite
from operator import attrgetter, is_
from typing import Any

import numpy as np
from manim import OUT, RIGHT, UP, ManimColor, MovingCamera, PMobject
from manim import Camera as ManimCamera
from manim import Mobject as ManimMobject
from manim import ThreeDCamera as ManimThreeDCamera
from manim import VMobject as ManimVMobject
from manim.camera.camera import CAP_STYLE_MAP, LINE_JOIN_MAP
from manim.mobject.types.image_mobject import AbstractImageMobject
from manim.utils.family import extract_mobject_family_members

from renderer.engine.guards.overrides import ModuleFunctions, is_override
from renderer.engine.manim_types import Camera, Mobject, Points
from renderer.engine.patches.camera import GRADIENT_GETTER, identify_axis_gradient
from renderer.mirrors import mirrors
from renderer.video.frame import Pixels, equal_frames

_CAMERAS = {ManimCamera, MovingCamera, ManimThreeDCamera}
_IGNORED_CAMERA_ATTRIBUTES = {  # drawn, created anew before drawing, or digested separately
    "background", "canvas", "display_funcs", "fixed_in_frame_mobjects", "fixed_orientation_mobjects",
    "pixel_array", "pixel_array_to_cairo_context",
}  # fmt: skip
_PLAIN_TYPES = (int, float, str, bool, complex, Enum, np.generic, type(None))
_get_drawn_attributes = attrgetter(
    "points", "fill_rgbas", "stroke_rgbas", "background_stroke_rgbas", "sheen_direction", "stroke_width",
    "background_stroke_width", "joint_type", "cap_style", "shade_in_3d", "z_index", "tolerance_for_point_equality",
    "n_points_per_cubic_curve", "background_image",
)  # fmt: skip
_CURVE_POINTS = 4  # of a cubic curve
_MOST_STYLES = 10_000  # that are remembered
_FEW_POINTS = 1000
_LARGE_IMAGE = 2**16  # bytes, from which on an image is compared with earlier ones: that is faster than a digest
_MOST_IMAGES = 2**26  # bytes of images that are remembered
_ONE_COLOR = (1, 1, 1)  # of the fill, the stroke, and the stroke behind it
_CORNERS = (RIGHT + UP + OUT, -RIGHT - UP - OUT)  # of a bounding box
_AXIS_METHODS = {GRADIENT_GETTER, "get_unit_normal"}  # Manim sets them on each tick of a three-dimensional axis
_ALLOWED_OVERRIDES = {  # of a scene's own class: they create the mobject, and drawing does not call them
    "__init__", "__doc__", "__module__", "__qualname__", "__annotations__", "__dict__", "__weakref__", "__repr__",
    "__static_attributes__", "__firstlineno__", "_original__init__", "animation_overrides", "generate_points",
    "init_colors",
}  # fmt: skip
_DRAWING_FUNCTIONS = ModuleFunctions(
    "manim.camera.camera", "manim.camera.moving_camera", "manim.camera.three_d_camera", "manim.mobject.mobject",
    "manim.mobject.three_d.three_d_utils", "manim.mobject.types.image_mobject",
    "manim.mobject.types.point_cloud_mobject", "manim.mobject.types.vectorized_mobject", "manim.utils.bezier",
    "manim.utils.color.core", "manim.utils.family", "manim.utils.images", "manim.utils.iterables",
    "manim.utils.simple_functions", "manim.utils.space_ops",
)  # fmt: skip


class _UnknownError(Exception):
    """Drawing may depend on something that the digest does not cover, so there is no digest."""


@mirrors("manim.camera.camera:Camera", sha256="a1f08205cb38b4a4")
@mirrors("manim.camera.moving_camera:MovingCamera", sha256="c717b685e4d4bf14")
@mirrors("manim.camera.three_d_camera:ThreeDCamera", sha256="4af9cfa888a53540")
@mirrors("manim.mobject.types.vectorized_mobject:VMobject.get_fill_rgbas", sha256="c2a9a2860b9f6563")
@mirrors("manim.mobject.types.vectorized_mobject:VMobject.get_stroke_rgbas", sha256="38186ad2c57fb121")
@mirrors("manim.mobject.types.vectorized_mobject:VMobject.get_stroke_width", sha256="3c7617c125c5ddd1")
@mirrors("manim.mobject.types.vectorized_mobject:VMobject.get_gradient_start_and_end_points", sha256="0457cd4d89fb500c")
@mirrors("manim.mobject.mobject:Mobject.get_z_index_reference_point", sha256="9aee079ab21f1b7d")
class FrameDigester:
    """Computes the digests of one camera's frames; one object does that for a whole scene."""

    def __init__(self, camera: Camera) -> None:
        self._camera: Any = camera  # its attributes depend on its class
        self._methods: dict[type, frozenset[str]] = {}
        self._classes: dict[type, dict[str, object]] = {}  # what each of their classes had when they were listed
        self._axis_gradients: dict[tuple[int, ...], bytes] = {}  # of the current frame
        self._background: tuple[Pixels, bytes] | None = None
        self._styles: tuple[object, bytes] = (None, b"")
        self._shape_styles: dict[tuple[object, ...], bytes] = {}  # repr of each, which is slow
        self._images: list[tuple[Pixels, bytes]] = []  # large ones, with the digest of each
        self._is_drawing_replaced = False

    def check_classes(self) -> None:
        """Read again which methods the classes have, if the scene has changed one of them; called in each play."""
        self._is_drawing_replaced = _DRAWING_FUNCTIONS.are_replaced()
        for kind, known in self._classes.items():
            values = vars(kind)
            if values.keys() != known.keys() or not all(map(is_, values.values(), known.values())):
                self._methods.clear()
                self._classes.clear()
                return

    def digest(self, mobjects: Iterable[Mobject], *, on_background: bool) -> bytes | None:
        """Return the digest of a frame with these mobjects; None if drawing could depend on anything else.

        ``on_background`` is true if the frame starts from the camera's background, and false if from a static image.
        """
        return self._digest(mobjects, with_camera=True, on_background=on_background)

    def digest_mobject(self, mobject: Mobject) -> bytes | None:
        """Return the digest of what a mobject shows to the camera, without the camera; None as in ``digest``."""
        return self._digest([mobject], with_camera=False, on_background=False)

    def _digest(self, mobjects: Iterable[Mobject], *, with_camera: bool, on_background: bool) -> bytes | None:
        if self._is_drawing_replaced:
            return None
        shown = extract_mobject_family_members(
            mobjects, use_z_index=self._camera.use_z_index, only_those_with_points=True
        )
        self._axis_gradients.clear()
        try:
            parts = [
                *(self._digest_camera(shown) if with_camera else ()),
                *(part for mobject in shown for part in self._digest_mobject(mobject)),
            ]
        except (
            _UnknownError,
            AttributeError,
            TypeError,
            ValueError,
        ):  # mobjects that lack attributes which Manim's own always have
            return None
        if on_background:
            parts.append(self._digest_background())
        return blake2b(b"|".join(parts), digest_size=20).digest()

    def _digest_camera(self, shown: list[Any]) -> Iterator[bytes]:
        camera = self._camera
        if type(camera) not in _CAMERAS:
            raise _UnknownError
        self._check_methods(camera)
        yield type(camera).__name__.encode()
        for name, value in vars(camera).items():
            if name not in _IGNORED_CAMERA_ATTRIBUTES:
                yield name.encode()
                yield from self._digest_value(value)
        yield self._digest_styles()
        context = camera.pixel_array_to_cairo_context.get(id(camera.pixel_array))
        yield repr(context and tuple(context.get_matrix())).encode()
        if type(camera) is ManimThreeDCamera:
            yield from self._digest_space(shown)

    def _digest_styles(self) -> bytes:
        """Return the digest of Manim's tables of line joints and caps, which a scene may change."""
        styles = (LINE_JOIN_MAP, CAP_STYLE_MAP)
        if styles != self._styles[0]:
            self._styles = ((dict(LINE_JOIN_MAP), dict(CAP_STYLE_MAP)), repr(styles).encode())
        return self._styles[1]

    def _digest_value(self, value: object) -> Iterator[bytes]:
        """Yield the parts of an attribute of the camera."""
        if isinstance(value, np.ndarray) and value.dtype != object:
            yield repr((value.shape, value.dtype.str)).encode() + value.tobytes()
        elif isinstance(value, ManimColor):
            yield value._internal_value.tobytes()  # noqa: SLF001
        elif isinstance(value, ManimMobject):  # the frame, a value tracker, the light source
            for member in value.get_family():
                self._check_methods(member)
                yield member.points.tobytes()
        elif isinstance(value, _PLAIN_TYPES):
            yield repr(value).encode()
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from self._digest_value(item)
            yield b"end"
        else:
            raise _UnknownError

    def _digest_space(self, shown: list[Any]) -> Iterator[bytes]:
        """Yield what only a three-dimensional camera reads: fixed mobjects, and groups, which decide the order."""
        fixed, facing = self._camera.fixed_in_frame_mobjects, self._camera.fixed_orientation_mobjects
        if fixed:
            yield bytes(mobject in fixed for mobject in shown)
        for at, mobject in enumerate(shown):
            if mobject in facing:
                yield b"%d" % at + self._digest_center(facing[mobject])
        groups = {id(group): group for mobject in shown if (group := getattr(mobject, "z_index_group", None))}
        if groups:
            yield repr([list(groups).index(id(getattr(mobject, "z_index_group", None))) for mobject in shown]).encode()
            yield from (self._digest_center(group.get_center) for group in groups.values())

    def _digest_center(self, function: Any) -> bytes:
        """Return the result of ``get_center``. Raise _UnknownError for the scene's own, which may have side effects."""
        if getattr(function, "__func__", None) is not ManimMobject.get_center:
            raise _UnknownError
        return bytes(function().tobytes())

    def _digest_mobject(self, mobject: Any) -> Iterator[bytes]:
        self._check_methods(mobject)
        if isinstance(mobject, ManimVMobject):
            points, fill, stroke, back, direction, *style, curve_points, image = _get_drawn_attributes(mobject)
            sizes = len(points), len(fill), len(stroke), len(back)
            if image is not None or curve_points != _CURVE_POINTS:  # an image may change
                raise _UnknownError
            if sizes[0] % _CURVE_POINTS or not _are_finite(points):  # cairo would draw the previous path again
                raise _UnknownError
            yield self._describe_style(*sizes, *style)
            yield from (points.tobytes(), fill.tobytes(), stroke.tobytes(), back.tobytes(), direction.tobytes())
            if (gradient := vars(mobject).get(GRADIENT_GETTER)) is not None:
                yield self._digest_gradient(gradient)
            if sizes[1:] == _ONE_COLOR and not mobject.shade_in_3d:  # neither a gradient nor a depth
                return
        elif isinstance(mobject, PMobject):
            yield repr((len(mobject.points), mobject.stroke_width, *_get_depth(mobject))).encode()
            yield mobject.points.tobytes() + mobject.rgbas.tobytes()
        elif isinstance(mobject, AbstractImageMobject) and "camera" not in vars(mobject):
            yield repr((mobject.pixel_array.shape, mobject.resampling_algorithm, *_get_depth(mobject))).encode()
            yield mobject.points.tobytes()
            yield self._digest_image(mobject.pixel_array)
        elif isinstance(mobject, AbstractImageMobject):  # shows what another camera draws
            raise _UnknownError
        if mobject.submobjects:  # gradient and depth depend on the bounding box, which is that of the whole family
            yield from (mobject.get_critical_point(corner).tobytes() for corner in _CORNERS)

    def _describe_style(self, *values: object) -> bytes:
        """Return bytes that only equal values of the same types have."""
        kinds = tuple(map(type, values))
        try:
            if known := self._shape_styles.get((values, kinds)):
                return known
        except TypeError:  # an array
            return repr(values).encode()
        described = repr(values).encode()
        if all(issubclass(kind, _PLAIN_TYPES) for kind in kinds):
            if len(self._shape_styles) >= _MOST_STYLES:
                self._shape_styles.clear()
            self._shape_styles[values, kinds] = described
        return described

    def _check_methods(self, thing: object) -> None:
        """Raise _UnknownError if the thing or its class has methods of the scene, because these may read anything."""
        kind = type(thing)
        if kind not in self._methods:
            self._classes |= {base: dict(vars(base)) for base in kind.__mro__ if base not in self._classes}
            self._methods[kind] = _list_methods(kind)
        if not self._methods[kind].isdisjoint(vars(thing)):
            own = {name: vars(thing)[name] for name in self._methods[kind] & vars(thing).keys()}
            if own.keys() - _AXIS_METHODS or any(map(is_override, own.values())):
                raise _UnknownError

    def _digest_gradient(self, function: Any) -> bytes:
        """Return the gradient of a three-dimensional axis; it is computed only once for all ticks of the axis."""
        axis = identify_axis_gradient(function)
        if axis is None:
            raise _UnknownError
        if axis not in self._axis_gradients:
            self._axis_gradients[axis] = b"".join(point.tobytes() for point in function())
        return self._axis_gradients[axis]

    def _digest_image(self, pixels: Pixels) -> bytes:
        """Return the bytes of an image, or the digest of a large one, which is computed once for equal images."""
        if not _LARGE_IMAGE <= pixels.nbytes <= _MOST_IMAGES or not pixels.flags.c_contiguous or pixels.dtype.hasobject:
            return pixels.tobytes()
        for known, digest in self._images:
            if known.dtype == pixels.dtype and equal_frames(known, pixels):
                return digest
        while self._images and sum(known.nbytes for known, _ in self._images) + pixels.nbytes > _MOST_IMAGES:
            del self._images[0]
        digest = blake2b(pixels.data, digest_size=20).digest()
        self._images.append((pixels.copy(), digest))
        return digest

    def _digest_background(self) -> bytes:
        background = self._camera.background
        if self._background is None or not equal_frames(self._background[0], background):
            self._background = (background.copy(), blake2b(background.tobytes(), digest_size=20).digest())
        return self._background[1]


def _are_finite(points: Points) -> bool:
    """Return whether all coordinates are finite. If the sum of their squares is, they are, and that is quicker."""
    return (points.dtype == np.float64 and len(points) <= _FEW_POINTS and isfinite(np.vdot(points, points))) or bool(
        np.isfinite(points).all()
    )


def _get_depth(mobject: Any) -> tuple[Any, ...]:
    """Return the values that decide when a mobject without curves is drawn, relative to others."""
    return mobject.z_index, getattr(mobject, "shade_in_3d", False)


def _list_methods(kind: type) -> frozenset[str]:
    """Return the names of a class's methods, as far as Manim defines them.

    Raises _UnknownError if the scene overrides a method that drawing may call.
    """
    of_manim = [cls for cls in kind.__mro__ if cls.__module__.startswith("manim.")]
    names = {name for cls in (*of_manim, object) for name in vars(cls)}
    for cls in kind.__mro__:
        if cls in of_manim:
            if any(is_override(value) for value in vars(cls).values()):
                raise _UnknownError
        elif cls is not object and names & (vars(cls).keys() - _ALLOWED_OVERRIDES):
            raise _UnknownError
    return frozenset(name for name in names if callable(getattr(kind, name, None)))
