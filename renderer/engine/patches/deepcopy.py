"""Makes deep copies of mobjects, and of the SVG elements in glyphs, faster. The copies are the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from manim import CapStyleType, LineJointType, ManimColor
from numpy.typing import NDArray
from svgelements import svgelements

from renderer.engine.patches.outlines import Outline
from renderer.mirrors import mirrors

_IMMUTABLE_TYPES = frozenset({  # a deep copy of them is the same object
    type(None), bool, bytes, complex, float, int, str, type, CapStyleType, LineJointType,
})  # fmt: skip

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
        if type(value) not in _IMMUTABLE_TYPES:
            value = (_find_copier(type(value)) or _choose_copier(type(value)))(value, clone_from_id)  # noqa: PLW2901
        setattr(result, key, value)
    result.original_id = str(id(self))
    return result


# For frequent kinds of values, these functions spare the calls by which ``copy.deepcopy`` finds out how to copy them
# and keeps originals alive: here their owner does that. Each call of ``id`` is an audit event, which takes time. They
# call each other directly: with more calls inside each other, deeply nested groups would exceed Python's limit.


def deepcopy_plain(self: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy of an object of a plain class (see ``is_plain``), faster than ``copy.deepcopy``."""
    if (known := memo.get(identity := id(self))) is not None:
        return known
    memo[identity] = result = object.__new__(type(self))
    copied = result.__dict__
    copied.update(self.__dict__)
    for key, item in self.__dict__.items():
        if type(item) not in _IMMUTABLE_TYPES:
            copied[key] = (_find_copier(type(item)) or _choose_copier(type(item)))(item, memo)
    return result


def _copy_point(self: Any, memo: dict[int, Any]) -> Any:
    """Return a deep copy of a point of an SVG path."""
    if (known := memo.get(identity := id(self))) is not None:
        return known
    values = self.__dict__
    for value in values.values():
        if type(value) is not float:
            return deepcopy_plain(self, memo)
    memo[identity] = result = object.__new__(svgelements.Point)
    result.__dict__.update(values)
    return result


def _copy_mobject(self: Any, memo: dict[int, Any]) -> Any:
    known = memo.get(id(self))
    return deepcopy_mobject(self, memo) if known is None else known


def _copy_list(value: list[Any], memo: dict[int, Any]) -> Any:
    if (known := memo.get(identity := id(value))) is not None:
        return known
    memo[identity] = copied = value.copy()
    for index, item in enumerate(value):
        if type(item) not in _IMMUTABLE_TYPES:
            copied[index] = (_find_copier(type(item)) or _choose_copier(type(item)))(item, memo)
    return copied


def _copy_dict(value: dict[Any, Any], memo: dict[int, Any]) -> Any:
    if (known := memo.get(identity := id(value))) is not None:
        return known
    copied: dict[Any, Any] = {}
    memo[identity] = copied
    for key, item in value.items():
        new_key = key if type(key) is str else copy.deepcopy(key, memo)
        is_immutable = type(item) in _IMMUTABLE_TYPES
        copied[new_key] = item if is_immutable else (_find_copier(type(item)) or _choose_copier(type(item)))(item, memo)
    return copied


def _copy_array(value: NDArray[Any], memo: dict[int, Any]) -> Any:
    if (known := memo.get(identity := id(value))) is not None:
        return known
    memo[identity] = copied = value.__deepcopy__(memo)
    return copied


_COPIERS: dict[type, Callable[[Any, dict[int, Any]], Any]] = {
    dict: _copy_dict,
    list: _copy_list,
    np.ndarray: _copy_array,
    Outline: Outline.__deepcopy__,
}
_find_copier = _COPIERS.get


def _choose_copier(kind: type) -> Callable[[Any, dict[int, Any]], Any]:
    """Return the function that copies objects of a class which may change: that of mobjects, or Python's."""
    return _copy_mobject if getattr(kind, "__deepcopy__", None) is deepcopy_mobject else copy.deepcopy


def copy_plainly(kind: type) -> None:
    """Let objects of a plain class be copied by ``deepcopy_plain``."""
    kind.__deepcopy__ = deepcopy_plain  # type: ignore[attr-defined]
    _COPIERS[kind] = _copy_point if kind is svgelements.Point else deepcopy_plain


def is_plain(kind: type) -> bool:
    """Return whether a deep copy of an object of this class needs only copies of its attributes."""
    own = {name for cls in kind.__mro__[:-1] for name in vars(cls)}
    return own.isdisjoint({"__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__", "__setstate__", "__new__"})
