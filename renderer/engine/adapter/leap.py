"""Finds plays of which the frames in between can be left out: the scene's state at the end does not depend on them.

That holds for Manim's own animations that compute each frame from the start and the end alone, in scenes without
updaters and without code of the user that runs in each frame. Everything else is stepped through frame by frame.

The state at the end of every chunk is compared with that of a process that stepped through all of its frames, so that a
wrong answer costs time, and does not change a frame. Plays whose chunks are in the cache are left out if all that their
frames depend on is as it was when these were drawn, and if they end in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from hashlib import blake2b
from types import FunctionType
from typing import Any

import manim
from manim import Camera, Create, DrawBorderThenFill, MovingCamera, ThreeDCamera, Transform

from renderer.engine.adapter.play_key import iterate_family
from renderer.engine.adapter.state_digest import describe_mobject, describe_value
from renderer.engine.guards.overrides import ModuleFunctions, find_override, is_override
from renderer.engine.manim_types import Animation, Mobject

_CAMERAS = (Camera, MovingCamera, ThreeDCamera)
_SCENE_METHODS = ("update_to_time", "update_mobjects", "update_meshes", "update_self", "play_internal")
_NOT_OF_FRAMES = frozenset({"_on_finish", "methods"})  # run when the play has ended
_MAX_DEPTH = 4  # of containers and of functions in functions
_FORWARD = (manim.linear, manim.smooth, manim.double_smooth)
_PURE_MODULES = frozenset({"manim.utils.rate_functions", "manim.utils.paths", "manim.utils.bezier"})
_FUNCTIONS = ModuleFunctions(
    *("manim.animation.animation", "manim.animation.transform", "manim.animation.creation", "manim.mobject.mobject"),
    *("manim.mobject.types.vectorized_mobject", "manim.utils.bezier", "manim.utils.paths", "manim.utils.space_ops"),
)
_ANIMATION_METHODS = {
    "interpolate": (manim.Animation.interpolate,),
    "interpolate_mobject": (manim.Animation.interpolate_mobject,),
    "interpolate_submobject": (
        Transform.interpolate_submobject,
        Create.interpolate_submobject,
        DrawBorderThenFill.interpolate_submobject,
    ),
    "update_mobjects": (manim.Animation.update_mobjects,),
    "get_sub_alpha": (manim.Animation.get_sub_alpha,),
    "get_all_mobjects": (
        manim.Animation.get_all_mobjects,
        Transform.get_all_mobjects,
        DrawBorderThenFill.get_all_mobjects,
    ),
    "get_all_mobjects_to_update": (manim.Animation.get_all_mobjects_to_update,),
    "get_all_families_zipped": (manim.Animation.get_all_families_zipped, Transform.get_all_families_zipped),
}


def can_leap(scene: Any) -> bool:
    """Return whether the frames of the play, which has begun, depend on its start and its end alone."""
    if type(scene.renderer.camera) not in _CAMERAS or scene.updaters or scene.meshes or scene.stop_condition:
        return False
    if _FUNCTIONS.are_replaced() or any(
        name in vars(scene) or is_override(getattr(type(scene), name)) for name in _SCENE_METHODS
    ):
        return False
    if not all(_is_simple(animation) for animation in scene.animations):
        return False
    roots = [*scene.mobjects, *(mobject for animation in scene.animations for mobject in animation.get_all_mobjects())]
    members = [member for root in roots for member in root.get_family()]
    return all(map(_is_plain, set(map(type, members)))) and all(map(_stands_still, members))


class _UnknownError(Exception):
    """Something has no description."""


def digest_begun_play(scene: Any) -> str | None:
    """Return a digest of all that the frames of the play depend on, but for what the scene shows when it begins.

    It is a play that can leap, and has begun. None: not all is known.
    """
    try:
        parts = b"|".join(_Description().read(scene))
    except _UnknownError:
        return None
    return blake2b(parts, digest_size=20).hexdigest()


def digest_ended_play(scene: Any) -> str:
    """Return a digest of the animated mobjects, after the play."""
    families = (iterate_family(animation.mobject) for animation in scene.animations)
    parts = b"|".join(describe_mobject(member) for family in families for member in family)
    return blake2b(parts, digest_size=20).hexdigest()


class _Description:
    """Describes a play that has begun. A mobject's number says which it is: they are in the order of the scene."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._described: set[int] = set()

    def read(self, scene: Any) -> Iterator[bytes]:
        for mobjects in (scene.mobjects, scene.foreground_mobjects, scene.moving_mobjects, scene.static_mobjects):
            yield b"mobjects"
            for mobject in mobjects:
                yield from (self._number(member) for member in iterate_family(mobject))
        for animation in scene.animations:
            yield type(animation).__qualname__.encode()
            for name, value in vars(animation).items():
                if name not in _NOT_OF_FRAMES:
                    yield name.encode()
                    yield from self._describe(value, _MAX_DEPTH)

    def _number(self, mobject: Mobject) -> bytes:
        number = self._numbers.setdefault(id(mobject), len(self._numbers))
        return b"%d %d" % (number, len(mobject.submobjects))

    def _describe(self, value: Any, depth: int) -> Iterator[bytes]:
        if isinstance(value, manim.Mobject):
            for member in iterate_family(value):
                yield self._number(member)
                if id(member) not in self._described:
                    self._described.add(id(member))
                    yield describe_mobject(member)
        elif isinstance(value, FunctionType) and _is_of_manim(value):
            yield f"{value.__module__}.{value.__qualname__}".encode()
            for held in (*(cell.cell_contents for cell in value.__closure__ or ()), value.__defaults__):
                yield from self._describe(held, depth)
        elif isinstance(value, list | tuple | dict) and depth:
            yield b"%d" % len(value)
            for item in (item for pair in value.items() for item in pair) if isinstance(value, dict) else value:
                yield from self._describe(item, depth - 1)
        elif not isinstance(value, list | tuple | dict) and (described := describe_value(value)) is not None:
            yield type(value).__name__.encode() + described
        else:
            raise _UnknownError


def _is_simple(animation: Animation) -> bool:
    """Return whether an animation is one of Manim's own that computes each frame from its start and its end."""
    if not _has_simple_class(type(animation)):
        return False
    own = vars(animation)
    if own.keys() & _ANIMATION_METHODS.keys():
        return False
    if isinstance(animation, DrawBorderThenFill) and not _goes_forward(animation):
        return False  # going back from the fill to the border, a frame depends on those before it
    return _is_of_manim(getattr(animation, "rate_func", None)) and _is_of_manim(getattr(animation, "path_func", None))


def _goes_forward(animation: Any) -> bool:
    return not animation.reverse_rate_function and any(animation.rate_func is forward for forward in _FORWARD)


def _has_simple_class(kind: type) -> bool:
    is_pure = all(getattr(kind, name) in functions for name, functions in _ANIMATION_METHODS.items())
    return is_pure and _is_of_manim_alone(kind)


def _is_of_manim(function: Callable[..., object] | None) -> bool:
    """Return whether a function is Manim's, with those that it calls: squish_rate_func calls any."""
    if function is None:
        return True
    if not isinstance(function, FunctionType) or function.__module__ not in _PURE_MODULES:
        return False
    held = (cell.cell_contents for cell in function.__closure__ or ())
    return all(_is_of_manim(value) for value in held if callable(value))


def _stands_still(mobject: Mobject) -> bool:
    """Return whether nothing but the animation changes the mobject, and no code of the user does a part of that."""
    own, kind = vars(mobject), type(mobject)
    if own.get("updaters") or own.get("background_image") is not None:
        return False
    return own.keys().isdisjoint(_find_methods(kind))


@cache
def _find_methods(kind: type) -> frozenset[str]:
    return frozenset(name for name in dir(kind) if isinstance(getattr(kind, name, None), FunctionType))


def _is_plain(kind: type) -> bool:
    """Return whether all methods of a class of mobjects are Manim's. ``update`` is one of the functions in patches/."""
    has_update = getattr(kind, "update", None) is manim.Mobject.update
    return issubclass(kind, manim.Mobject) and has_update and _is_of_manim_alone(kind)


def _is_of_manim_alone(kind: type) -> bool:
    """Return whether no function of a class is the user's."""
    return not any(map(find_override, kind.__mro__))
