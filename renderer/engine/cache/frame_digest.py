"""Digests of what frames show: equal digests, equal pixels. They read just what Manim's painting reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import numpy as np
from manim import OUT, RIGHT, UP, Camera, ManimColor, Mobject, MovingCamera, PMobject, ThreeDCamera, VMobject
from manim.camera.camera import CAP_STYLE_MAP, LINE_JOIN_MAP
from manim.mobject.types.image_mobject import AbstractImageMobject
from manim.utils.family import extract_mobject_family_members

from renderer.engine.guards.overrides import is_override
from renderer.engine.patches.camera import GRADIENT, gradient_of_axis
from renderer.video.frame import Pixels, equal_frames

_CAMERAS = {Camera, MovingCamera, ThreeDCamera}
_NOT_THE_CAMERA = {  # painted, made anew before painting, or read apart from the rest
    "background", "canvas", "display_funcs", "fixed_in_frame_mobjects", "fixed_orientation_mobjects",
    "pixel_array", "pixel_array_to_cairo_context",
}  # fmt: skip
_PLAIN = (int, float, str, bool, complex, Enum, np.generic, type(None))
_ARRAYS = attrgetter(
    "points", "fill_rgbas", "stroke_rgbas", "background_stroke_rgbas", "sheen_direction", "stroke_width",
    "background_stroke_width", "joint_type", "cap_style", "shade_in_3d", "z_index", "tolerance_for_point_equality",
    "n_points_per_cubic_curve", "background_image",
)  # fmt: skip
_CURVE = 4  # points
_OF_AXES = {GRADIENT, "get_unit_normal"}  # methods that Manim gives to each mark of an axis in space
_MAKING = {  # what a class may bring of its own: it makes mobjects, and has no part in painting them
    "__init__", "__doc__", "__module__", "__qualname__", "__annotations__", "__dict__", "__weakref__", "__repr__",
    "__static_attributes__", "__firstlineno__", "_original__init__", "animation_overrides", "generate_points",
    "init_colors",
}  # fmt: skip


class _UnknownError(Exception):
    """Painting depends on something that we do not read."""


class Pictures:
    """Digests what one camera shows, frame by frame."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera
        self._methods: dict[type, frozenset[str]] = {}
        self._gradients: dict[tuple[int, ...], bytes] = {}  # of this frame
        self._background: tuple[Pixels, bytes] | None = None

    def digest(self, mobjects: Iterable[Any], *, on_background: bool) -> bytes | None:
        """Digest all that painting depends on; None where that is more than Manim's own code reads.

        ``on_background`` tells that the frame starts from the camera's background, and not from a static image.
        """
        shown = extract_mobject_family_members(
            mobjects, use_z_index=self._camera.use_z_index, only_those_with_points=True
        )
        self._gradients.clear()
        try:
            parts = [*self._camera_parts(shown), *(part for mobject in shown for part in self._mobject_parts(mobject))]
        except (_UnknownError, AttributeError, TypeError, ValueError):  # mobjects made in no way that we know
            return None
        if on_background:
            parts.append(self._background_digest())
        return blake2b(b"|".join(parts), digest_size=20).digest()

    def _camera_parts(self, shown: list[Any]) -> Iterator[bytes]:
        camera = self._camera
        if type(camera) not in _CAMERAS:
            raise _UnknownError
        self._check(camera)
        yield type(camera).__name__.encode()
        for name, value in vars(camera).items():
            if name not in _NOT_THE_CAMERA:
                yield name.encode()
                yield from self._value_parts(value)
        yield repr((LINE_JOIN_MAP, CAP_STYLE_MAP)).encode()
        context = camera.pixel_array_to_cairo_context.get(id(camera.pixel_array))
        yield repr(context and tuple(context.get_matrix())).encode()
        if type(camera) is ThreeDCamera:
            yield from self._space_parts(shown)

    def _value_parts(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, np.ndarray) and value.dtype != object:
            yield repr((value.shape, value.dtype.str)).encode() + value.tobytes()
        elif isinstance(value, ManimColor):
            yield value._internal_value.tobytes()  # noqa: SLF001
        elif isinstance(value, Mobject):  # the frame, a tracker, the light
            for member in value.get_family():
                self._check(member)
                yield member.points.tobytes()
        elif isinstance(value, _PLAIN):
            yield repr(value).encode()
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from self._value_parts(item)
            yield b"end"
        else:
            raise _UnknownError

    def _space_parts(self, shown: list[Any]) -> Iterator[bytes]:
        """Read what only a camera in space knows: shapes that keep their place or face, and groups in the depth."""
        fixed, facing = self._camera.fixed_in_frame_mobjects, self._camera.fixed_orientation_mobjects
        if fixed:
            yield bytes(mobject in fixed for mobject in shown)
        for at, mobject in enumerate(shown):
            if mobject in facing:
                yield b"%d" % at + self._centre(facing[mobject])
        groups = {id(group): group for mobject in shown if (group := getattr(mobject, "z_index_group", None))}
        if groups:
            yield repr([list(groups).index(id(getattr(mobject, "z_index_group", None))) for mobject in shown]).encode()
            yield from (self._centre(group.get_center) for group in groups.values())

    def _centre(self, function: Any) -> bytes:
        """Ask a mobject for its centre; not a user's function, which may do anything."""
        if getattr(function, "__func__", None) is not Mobject.get_center:
            raise _UnknownError
        return bytes(function().tobytes())

    def _mobject_parts(self, mobject: Any) -> Iterator[bytes]:
        self._check(mobject)
        if isinstance(mobject, VMobject):
            points, fill, stroke, back, direction, *style, curve, image = _ARRAYS(mobject)
            count = len(points)
            if image is not None or curve != _CURVE or count % _CURVE or not np.isfinite(points).all():
                raise _UnknownError  # an image may change; without curves cairo paints the last path again
            yield repr((count, len(fill), len(stroke), len(back), style)).encode()
            yield from (points.tobytes(), fill.tobytes(), stroke.tobytes(), back.tobytes(), direction.tobytes())
            if (gradient := vars(mobject).get(GRADIENT)) is not None:
                yield self._gradient(gradient)
        elif isinstance(mobject, PMobject):
            yield repr((len(mobject.points), mobject.stroke_width, *_depth(mobject))).encode()
            yield mobject.points.tobytes() + mobject.rgbas.tobytes()
        elif isinstance(mobject, AbstractImageMobject) and "camera" not in vars(mobject):
            yield repr((mobject.pixel_array.shape, mobject.resampling_algorithm, *_depth(mobject))).encode()
            yield mobject.points.tobytes() + mobject.pixel_array.tobytes()
        elif isinstance(mobject, AbstractImageMobject):
            raise _UnknownError
        if mobject.submobjects:  # its box, and so its gradient and its depth, are those of the whole family
            yield from (mobject.get_critical_point(side).tobytes() for side in (RIGHT, UP, OUT, -RIGHT, -UP, -OUT))

    def _check(self, thing: Any) -> None:
        """Refuse what brings methods of its own: they may read anything."""
        kind = type(thing)
        if kind not in self._methods:
            self._methods[kind] = _methods(kind)
        if not self._methods[kind].isdisjoint(vars(thing)):
            own = {name: vars(thing)[name] for name in self._methods[kind] & vars(thing).keys()}
            if own.keys() - _OF_AXES or any(map(is_override, own.values())):
                raise _UnknownError

    def _gradient(self, function: Any) -> bytes:
        """Ask for the gradient of an axis in space, which is one for all its marks."""
        about = gradient_of_axis(function)
        if about is None:
            raise _UnknownError
        if about not in self._gradients:
            self._gradients[about] = b"".join(point.tobytes() for point in function())
        return self._gradients[about]

    def _background_digest(self) -> bytes:
        background = self._camera.background
        if self._background is None or not equal_frames(self._background[0], background):
            self._background = (background.copy(), blake2b(background.tobytes(), digest_size=20).digest())
        return self._background[1]


def _depth(mobject: Any) -> tuple[Any, ...]:
    """Give what decides before and behind what a mobject without curves is painted."""
    return mobject.z_index, getattr(mobject, "shade_in_3d", False)


def _methods(kind: type) -> frozenset[str]:
    """Name the methods of a class of Manim, or of one that only makes its mobjects in another way."""
    manims = [cls for cls in kind.__mro__ if cls.__module__.startswith("manim.")]
    names = {name for cls in (*manims, object) for name in vars(cls)}
    for cls in kind.__mro__:
        if cls in manims:
            if any(is_override(value) for value in vars(cls).values()):
                raise _UnknownError
        elif cls is not object and names & (vars(cls).keys() - _MAKING):
            raise _UnknownError
    return frozenset(name for name in names if callable(getattr(kind, name, None)))
