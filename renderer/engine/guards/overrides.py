"""Finds methods of Manim that a scene replaced.

A parallel render calls some of them more or less often than Manim does, so that a replacement may behave differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partialmethod
from importlib import import_module
from operator import is_

from renderer.engine.manim_types import Camera, Mobject

TRUSTED_MODULES = ("manim.", "renderer.engine.", "renderer.video.")
# they make methods, or wrap them
_GENERATORS = {"contextlib", "dataclasses", "decorator", "enum", "functools", "typing"}
_MAX_WRAPPED = 10  # functions around a function


def is_override(value: object) -> bool:
    """Return whether an attribute of a class is a function that the scene defined, not Manim.

    Other callable objects count as functions, such as those that ``functools.cache`` returns.
    """
    function = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
    is_function = callable(function) and not isinstance(function, type)
    is_built_in = getattr(function, "__module__", None) is None
    return isinstance(value, partialmethod) or (is_function and not is_built_in and _is_of_scene(function))


class ModuleFunctions:
    """The functions and classes that modules of Manim have before a scene can replace them."""

    def __init__(self, *modules: str) -> None:
        held = [vars(import_module(module)) for module in modules]
        self._originals = [(names, name, value) for names in held for name, value in names.items() if callable(value)]

    def are_replaced(self) -> bool:
        """Return whether the scene replaced one of them."""
        changed = (names.get(name) for names, name, value in self._originals if names.get(name) is not value)
        return any(map(_is_of_scene, changed))


def find_overridden_method(thing: object, kind: type) -> str | None:
    """Return the name of a method that the scene replaced, in the class ``kind`` or in its instance ``thing``.

    Return None if there is none.
    """
    in_class = (name for cls in kind.__mro__ if (name := find_override(cls)))
    in_instance = (name for name in vars(thing) if callable(getattr(kind, name, None)))
    return next(in_class, None) or next(in_instance, None)


def find_override(cls: type) -> str | None:
    """Return the first method of a class that is the scene's; an unchanged class is searched only once."""
    values = tuple(vars(cls).values())
    known = _searched.get(cls)
    if known is None or len(known[0]) != len(values) or not all(map(is_, known[0], values)):
        found = next((name for name, value in vars(cls).items() if is_override(value)), None)
        known = _searched[cls] = (values, found)
    return known[1]


_searched: dict[type, tuple[tuple[object, ...], str | None]] = {}


def find_overridden_getter(mobjects: Iterable[Mobject]) -> str | None:
    """Return the name of a ``get_…`` method that the scene replaced in a mobject; None if there is none.

    Drawing calls such methods, so that a replacement could count how often the mobject is drawn.
    """
    for shown in mobjects:
        for member in shown.get_family():
            for name in _getters(type(member)) & vars(member).keys():
                if _is_of_scene(vars(member)[name]):
                    return name
    return None


def has_own_label_positions(camera: Camera) -> bool:
    """Return whether a three-dimensional camera calls a function of the scene, in each frame, to place a label."""
    functions = vars(camera).get("fixed_orientation_mobjects", {}).values()
    return any(_is_of_scene(function) for function in functions)


@cache
def _getters(kind: type) -> frozenset[str]:
    return frozenset(name for name in dir(kind) if name.startswith("get_"))


def _is_of_scene(function: object) -> bool:
    """Return whether the scene defined a function, or one of those that it wraps."""
    for _ in range(_MAX_WRAPPED):
        if not str(getattr(function, "__module__", None)).startswith(TRUSTED_MODULES) or _has_scene_code(function):
            return True
        if (function := getattr(function, "__wrapped__", None)) is None:
            return False
    return True


def _has_scene_code(function: object) -> bool:
    """Return whether the code is the scene's: ``functools.wraps`` gives its functions the ``__module__`` of Manim's."""
    names = getattr(function, "__globals__", None)
    module = str(names.get("__name__")) if isinstance(names, dict) else ""
    return bool(module) and module not in _GENERATORS and not module.startswith(TRUSTED_MODULES)
