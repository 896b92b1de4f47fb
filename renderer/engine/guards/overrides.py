"""Finds what a scene has put in the place of Manim's own methods."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partialmethod
from types import FunctionType
from typing import Any

OURS = ("manim.", "renderer.engine.", "renderer.video.")


def foreign(value: Any) -> bool:
    """Tell whether a scene has put this function of its own into a class of Manim."""
    function = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
    module = getattr(function, "__module__", None) or "manim."
    theirs = not module.startswith(OURS)
    return isinstance(value, partialmethod) or (isinstance(function, FunctionType) and theirs)


def hooked(mobjects: Iterable[Any]) -> str | None:
    """Name a method that one of the mobjects has of the scene's own: it may count how often it is painted."""
    for shown in mobjects:
        for member in shown.get_family():
            kind: Any = type(member)
            for name in _getters(kind) & vars(member).keys():
                if _is_theirs(vars(member)[name]):
                    return str(name)
    return None


def has_own_centres(camera: Any) -> bool:
    """Tell whether a camera in space asks a function of the scene's own, for each frame, where a label is."""
    functions = vars(camera).get("fixed_orientation_mobjects", {}).values()
    return any(_is_theirs(function) for function in functions)


@cache
def _getters(kind: type) -> frozenset[str]:
    return frozenset(name for name in dir(kind) if name.startswith("get_"))


def _is_theirs(function: Any) -> bool:
    return not str(getattr(function, "__module__", None)).startswith(OURS)


def replaced(thing: Any, kind: type) -> str | None:
    """Name a method of a Manim class that a scene replaced, in the class itself or in its instance ``thing``."""
    in_class = (name for cls in kind.__mro__ for name, value in vars(cls).items() if foreign(value))
    in_instance = (name for name in vars(thing) if callable(getattr(kind, name, None)))
    return next(in_class, None) or next(in_instance, None)
