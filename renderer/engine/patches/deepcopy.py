"""Makes deep copies of mobjects, and of the SVG elements in glyphs, faster. The copies are the same."""

from __future__ import annotations

import copy
from typing import Any

from manim import ManimColor
from svgelements import svgelements

from renderer.mirrors import mirrors

_IMMUTABLE_TYPES = frozenset({type(None), bool, bytes, complex, float, int, str, type})

PLAIN_CLASSES = (
    ManimColor, svgelements.Arc, svgelements.Close, svgelements.Color, svgelements.CubicBezier, svgelements.Line,
    svgelements.Matrix, svgelements.Move, svgelements.Path, svgelements.Point, svgelements.QuadraticBezier,
)  # fmt: skip


@mirrors("manim.mobject.mobject:Mobject.__deepcopy__", sha256="545bd96e25060d3e")
def deepcopy_mobject(self: Any, clone_from_id: dict[int, Any]) -> Any:
    """Return a copy of a mobject and of everything that it refers to."""
    result = self.__class__.__new__(self.__class__)
    clone_from_id[id(self)] = result
    for key, value in self.__dict__.items():
        setattr(result, key, value if type(value) in _IMMUTABLE_TYPES else copy.deepcopy(value, clone_from_id))
    result.original_id = str(id(self))
    return result


def deepcopy_plain(self: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy of an object of a plain class (see ``is_plain``), faster than ``copy.deepcopy``."""
    result = object.__new__(type(self))
    memo[id(self)] = result
    copied = result.__dict__
    for key, value in self.__dict__.items():
        copied[key] = value if type(value) in _IMMUTABLE_TYPES else copy.deepcopy(value, memo)
    return result


def is_plain(kind: type) -> bool:
    """Return whether a deep copy of an object of this class needs only copies of its attributes."""
    own = {name for cls in kind.__mro__[:-1] for name in vars(cls)}
    return own.isdisjoint({"__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__", "__setstate__", "__new__"})
