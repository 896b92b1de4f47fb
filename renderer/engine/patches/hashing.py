"""Faster versions of the functions that compute Manim's cache keys; the keys are the same."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any, Literal, Protocol

import numpy as np
from manim.utils import hashing
from numpy.typing import NDArray
from svgelements import svgelements

from renderer.engine.patches.outlines import Outline
from renderer.mirrors import mirrors

Container = dict[Any, object] | list[object] | tuple[object, ...]

_PLACEHOLDER = hashing._Memoizer.ALREADY_PROCESSED_PLACEHOLDER  # noqa: SLF001  # replaces what was described before
_NEVER_MEMOIZED = frozenset({bool, complex, float, int})
_SVG_SEGMENTS = frozenset({svgelements.Close, svgelements.CubicBezier, svgelements.Line, svgelements.Move})
_MANIM_DEFAULT = hashing._CustomEncoder.default  # noqa: SLF001
_MANIM_HASH_NDARRAY = hashing._hash_ndarray  # noqa: SLF001


class _Memoizer(Protocol):
    """The attributes of Manim's ``_Memoizer`` that this module uses."""

    THRESHOLD_WARNING: int
    _already_processed: set[tuple[str, int]]
    _keep_alive: dict[int, object]

    def check_already_processed(self, obj: object) -> object: ...
    def _return(self, obj: object, sign: Callable[[object], int], result: Callable[[object], object]) -> object: ...


class _Encoder(Protocol):
    """The attributes of Manim's ``_CustomEncoder`` that this module uses."""

    include_pixel_array: bool
    _memoizer: _Memoizer


@mirrors("manim.utils.hashing:_CustomEncoder.default", sha256="dde67363b7a5d9c8")
def default(self: _Encoder, obj: Any) -> object:
    """Return a value that JSON can write for an object that it cannot: its attributes, or the hash of an array."""
    kind = type(obj)
    if kind is np.ndarray and not obj.dtype.hasobject:
        return hash_ndarray(obj)
    if kind is FunctionType or kind is MethodType:
        return _describe_function(self, obj)
    values = getattr(obj, "__dict__", None)
    if type(values) is not dict or isinstance(obj, np.ndarray):
        return _MANIM_DEFAULT(self, obj)
    cleaned = _clean_dict(self, values)
    if kind in _SVG_SEGMENTS:  # most of a formula are points: describe them here, which saves a call for each
        for key, value in cleaned.items():
            if type(value) is svgelements.Point:
                cleaned[key] = _clean_dict(self, vars(value))
    return cleaned


def _describe_function(encoder: _Encoder, function: FunctionType | MethodType) -> object:
    """Return the source of a function and the values that it uses, but for modules."""
    used = inspect.getclosurevars(function)
    values = {name: value for name, value in {**used.globals, **used.nonlocals}.items() if not _is_module(value)}
    try:
        code = _get_source(function)
    except (OSError, TypeError):
        code = ""
    return _clean_dict(encoder, {"code": code, "nonlocals": values})


def _is_module(value: object) -> bool:
    return isinstance(value, ModuleType)


def _get_source(function: FunctionType | MethodType) -> str:
    """Return what ``inspect.getsource`` returns. To find the last line it reads tokens, which is slow: once is enough.

    The lines of a file are another list as soon as the file has changed.
    """
    lines, first = inspect.findsource(inspect.unwrap(function))
    known = _sources.get((id(lines), first))
    if known is None:
        known = _sources[id(lines), first] = (lines, "".join(inspect.getblock(lines[first:])))
    return known[1]


_sources: dict[tuple[int, int], tuple[list[str], str]] = {}  # keeps the lines, so that no id is used anew


@mirrors("manim.utils.hashing:_hash_ndarray", sha256="79049a453c1a56ff")
def hash_ndarray(array: NDArray[Any]) -> str:
    """Return a hash of an array's shape, type and values."""
    dtype = array.dtype
    if dtype.names is not None or dtype.subdtype or dtype.byteorder == ">":
        return _MANIM_HASH_NDARRAY(array)  # type: ignore[no-any-return]
    digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    return f"{_describe_dtype(dtype)}:{array.shape}:{digest}"


@cache
def _describe_dtype(dtype: np.dtype[Any]) -> str:
    """Return the beginning of Manim's hash, which describes the type of an array."""
    return str(_MANIM_HASH_NDARRAY(np.empty(0, dtype)).rsplit(":", 2)[0])


@mirrors("manim.utils.hashing:_CustomEncoder._cleaned_iterable", sha256="f907da5db1bd2d63")
def cleaned_iterable(self: _Encoder, iterable: Container) -> dict[Any, object] | list[object]:
    """Return a copy of a list or dict in which a placeholder replaces every object that was described before."""
    return _clean_dict(self, iterable) if isinstance(iterable, dict) else _clean_list(self, iterable)


def _clean_dict(encoder: _Encoder, values: dict[Any, object]) -> dict[Any, object]:
    cleaned: dict[Any, object] = {}
    memoize = encoder._memoizer.check_already_processed  # noqa: SLF001
    ignored_keys = hashing.KEYS_TO_FILTER_OUT
    for key, item in values.items():
        value = item.read() if type(item) is Outline else item
        memoized = value if type(value) in _NEVER_MEMOIZED else memoize(value)
        if key in ignored_keys and not (key == "pixel_array" and encoder.include_pixel_array):
            continue
        name = key if isinstance(key, str) else _clean_key(encoder, key)
        cleaned[name] = cleaned_iterable(encoder, memoized) if isinstance(memoized, dict | list | tuple) else memoized
    return cleaned


def _clean_list(encoder: _Encoder, values: Sequence[object]) -> list[object]:
    memoize = encoder._memoizer.check_already_processed  # noqa: SLF001
    cleaned: list[object] = []
    for value in values:
        memoized = value if type(value) in _NEVER_MEMOIZED else memoize(value)
        cleaned.append(cleaned_iterable(encoder, memoized) if isinstance(memoized, dict | list | tuple) else memoized)
    return cleaned


def _clean_key(encoder: _Encoder, key: object) -> object:
    if isinstance(key, int | float) or key is None:
        return key
    return hashing.zlib.crc32(hashing._get_json(key, encoder._memoizer).encode())  # noqa: SLF001


@mirrors("manim.utils.hashing:_Memoizer.check_already_processed", sha256="f7b2e2fbf627e288")
@mirrors("manim.utils.hashing:_Memoizer._handle_already_processed", sha256="6b9486734c4d4a35")
@mirrors("manim.utils.hashing:_Memoizer._return", sha256="10b8aa5463a22586")
def check_already_processed(self: _Memoizer, obj: object) -> object:
    """Return the object and remember it, or return the placeholder if it was remembered before."""
    kind: type = type(obj)
    identity_kind = _choose_identity(kind)
    if identity_kind == "value" and obj != _PLACEHOLDER:
        return obj
    try:
        identity = ("i", id(obj)) if identity_kind == "address" else ("h", hash(obj))
    except TypeError:  # for example a tuple that contains a list
        identity = ("i", id(obj))
    seen = self._already_processed
    if identity in seen:
        return _PLACEHOLDER
    if len(seen) == self.THRESHOLD_WARNING:
        return self._return(obj, id if identity[0] == "i" else hash, lambda same: same)
    seen.add(identity)
    self._keep_alive[id(obj)] = obj
    return obj


@cache
def _choose_identity(kind: type) -> Literal["value", "address", "hash"]:
    """Return how Manim recognises an object of the class again: by address or hash; a plain value never."""
    if issubclass(kind, int | float | str | complex):
        return "value"
    return "address" if kind.__hash__ is None else "hash"
