"""Quicker deep copies of mobjects, and of what glyphs keep of their outlines: equal, and as independent."""

from __future__ import annotations

import copy
from typing import Any

from manim import ManimColor
from svgelements import svgelements

_ATOMS = frozenset({type(None), bool, bytes, complex, float, int, str, type})

CLASSES = (
    ManimColor, svgelements.Arc, svgelements.Close, svgelements.Color, svgelements.CubicBezier, svgelements.Line,
    svgelements.Matrix, svgelements.Move, svgelements.Path, svgelements.Point, svgelements.QuadraticBezier,
)  # fmt: skip


def deepcopy_mobject(self: Any, clone_from_id: dict[int, Any]) -> Any:
    """Copy a mobject with all that belongs to it."""
    result = self.__class__.__new__(self.__class__)
    clone_from_id[id(self)] = result
    for key, value in self.__dict__.items():
        setattr(result, key, value if type(value) in _ATOMS else copy.deepcopy(value, clone_from_id))
    result.original_id = str(id(self))
    return result


def deepcopy_plain(self: Any, memo: dict[int, Any]) -> Any:
    """Copy an object that is its attributes, as ``copy`` does by way of its state."""
    result = object.__new__(type(self))
    memo[id(self)] = result
    copied = result.__dict__
    for key, value in self.__dict__.items():
        copied[key] = value if type(value) in _ATOMS else copy.deepcopy(value, memo)
    return result


def plain(kind: type) -> bool:
    """Tell whether ``copy`` would copy just the attributes of such objects."""
    own = {name for cls in kind.__mro__[:-1] for name in vars(cls)}
    return own.isdisjoint({"__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__", "__setstate__", "__new__"})
