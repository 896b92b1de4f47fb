"""Finds what a scene has put in the place of Manim's own methods."""

from __future__ import annotations

from functools import partialmethod
from types import FunctionType
from typing import Any


def foreign(value: Any) -> bool:
    """Tell whether a scene has put this function of its own into a class of Manim."""
    function = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
    module = getattr(function, "__module__", None) or "manim."
    theirs = not module.startswith(("manim.", "renderer.engine."))
    return isinstance(value, partialmethod) or (isinstance(function, FunctionType) and theirs)


def replaced(thing: Any, kind: type) -> str | None:
    """Name a method of a Manim class that a scene replaced, in the class itself or in its instance ``thing``."""
    in_class = (name for cls in kind.__mro__ for name, value in vars(cls).items() if foreign(value))
    in_instance = (name for name in vars(thing) if callable(getattr(kind, name, None)))
    return next(in_class, None) or next(in_instance, None)
