"""Quicker versions of what Manim computes its cache keys with: the same keys."""

from __future__ import annotations

import hashlib
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from manim.utils import hashing
from svgelements import svgelements

_SEEN = hashing._Memoizer.ALREADY_PROCESSED_PLACEHOLDER  # noqa: SLF001
_NEVER_NOTED = frozenset({bool, complex, float, int})
_SEGMENTS = frozenset({svgelements.Close, svgelements.CubicBezier, svgelements.Line, svgelements.Move})
_default = hashing._CustomEncoder.default  # noqa: SLF001
_hash = hashing._hash_ndarray  # noqa: SLF001
_openings: dict[Any, str] = {}  # of the hashes of arrays, for each type of numbers
_signs: dict[type, str] = {}  # how objects are known again: by hash (h), by address (i), or not at all


def default(self: Any, obj: Any) -> Any:
    """Describe what JSON does not know: an object by its attributes, an array by a hash."""
    kind = type(obj)
    if kind is np.ndarray and not obj.dtype.hasobject:
        return hash_ndarray(obj)
    values = getattr(obj, "__dict__", None)
    if type(values) is not dict or isinstance(obj, FunctionType | MethodType | np.ndarray):
        return _default(self, obj)
    cleaned = _clean_dict(self, values)
    if kind in _SEGMENTS:  # points are most of what formulas are made of, and nothing comes between
        for key, value in cleaned.items():
            if type(value) is svgelements.Point:
                cleaned[key] = _clean_dict(self, vars(value))
    return cleaned


def hash_ndarray(array: Any) -> str:
    """Hash shape, type and values."""
    dtype = array.dtype
    if dtype.names is not None or dtype.subdtype or dtype.byteorder == ">":
        return _hash(array)  # type: ignore[no-any-return]
    opening = _openings.get(dtype)
    if opening is None:
        opening = _openings[dtype] = _hash(np.empty(0, dtype)).rsplit(":", 2)[0]
    return f"{opening}:{array.shape}:{hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()}"


def cleaned_iterable(self: Any, iterable: Any) -> Any:
    """Put a mark in the place of what was described before."""
    return _clean_dict(self, iterable) if isinstance(iterable, dict) else _clean_list(self, iterable)


def _clean_dict(encoder: Any, values: dict[Any, Any]) -> dict[Any, Any]:
    cleaned = {}
    note = encoder._memoizer.check_already_processed  # noqa: SLF001
    left_out = hashing.KEYS_TO_FILTER_OUT
    for key, value in values.items():
        noted = value if type(value) in _NEVER_NOTED else note(value)
        if key in left_out and not (key == "pixel_array" and encoder.include_pixel_array):
            continue
        name = key if isinstance(key, str) else _plain_key(encoder, key)
        cleaned[name] = cleaned_iterable(encoder, noted) if isinstance(noted, dict | list | tuple) else noted
    return cleaned


def _clean_list(encoder: Any, values: Any) -> list[Any]:
    note = encoder._memoizer.check_already_processed  # noqa: SLF001
    cleaned = []
    for value in values:
        noted = value if type(value) in _NEVER_NOTED else note(value)
        cleaned.append(cleaned_iterable(encoder, noted) if isinstance(noted, dict | list | tuple) else noted)
    return cleaned


def _plain_key(encoder: Any, key: Any) -> Any:
    if isinstance(key, int | float) or key is None:
        return key
    return hashing.zlib.crc32(hashing._get_json(key, encoder._memoizer).encode())  # noqa: SLF001


def check_already_processed(self: Any, obj: Any) -> Any:
    """Take note of an object, and give the mark in its place if it was noted before."""
    kind = type(obj)
    sign = _signs.get(kind) or _signs.setdefault(kind, _sign(kind))
    if sign == "=" and obj != _SEEN:
        return obj
    try:
        noted = ("i", id(obj)) if sign == "i" else ("h", hash(obj))
    except TypeError:  # a tuple with a list in it
        noted = ("i", id(obj))
    seen = self._already_processed
    if noted in seen:
        return _SEEN
    if len(seen) == self.THRESHOLD_WARNING:
        return self._return(obj, id if noted[0] == "i" else hash, lambda same: same)
    seen.add(noted)
    self._keep_alive[id(obj)] = obj
    return obj


def _sign(kind: type) -> str:
    if issubclass(kind, int | float | str | complex):
        return "="
    return "i" if kind.__hash__ is None else "h"
