"""Computes a digest of everything that the next frames depend on, to verify that two processes did the same."""

from __future__ import annotations

import logging
import marshal
import operator
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from itertools import chain
from types import FunctionType, NoneType

import numpy as np
from manim import ManimColor
from manim import Mobject as ManimMobject

from renderer.engine.adapter.play_key import iterate_family
from renderer.engine.adapter.scene_state import SceneState
from renderer.engine.manim_types import Mobject, Scene

_SCALARS = (int, float, str, complex, bytes, np.generic)
Container = list[object] | tuple[object, ...] | deque[object] | dict[object, object]

_MAX_DEPTH = 4  # how deeply nested containers are read
_LARGE = 64  # items; from so many on, a container is read at once where that is possible
_VERY_LARGE = 4096  # items; from so many on, what was read is remembered
_MOST_REMEMBERED = 8
_MARSHAL_VERSION = 2  # the last that writes no references, which depend on reference counts
_IMMUTABLE = frozenset({int, float, complex, bool, str, bytes, NoneType})
_LEFT_OUT = {"original_id"}  # an address in memory: differs between processes
_LEFT_OUT |= {"submobjects", "updaters", "mobjects", "moving_mobjects", "static_mobjects"}  # hold no plain values

_log = logging.getLogger(__name__)


def digest_state(scene: Scene, *, with_parts: bool = False) -> SceneState:
    """Return a digest of the mobjects' points, colours and plain attributes, of random states, and of the time.

    The state's parts are digested as well, if ``with_parts`` or debug logging asks for that.
    """
    hasher, parts = sha256(), []  # processors compute it faster than blake2b
    is_debug = with_parts or _log.isEnabledFor(logging.DEBUG)
    for label, content in _read_parts(scene):
        hasher.update(content)
        if is_debug:
            parts.append((label, blake2b(content, digest_size=8).hexdigest()))
    return SceneState(hasher.hexdigest(), tuple(parts))


def _read_parts(scene: Scene) -> Iterator[tuple[str, bytes]]:
    """Yield each part of the scene's state: a label and the bytes that describe it."""
    seen: set[int] = set()
    kinds: dict[type, None] = {}  # in the order of their first mobjects
    for mobject in _find_mobjects(scene):
        if id(mobject) not in seen:
            seen.add(id(mobject))
            kinds[type(mobject)] = None
            yield f"mobject {len(seen)}, a {type(mobject).__name__}", describe_mobject(mobject)
    for base in dict.fromkeys(base for kind in kinds for base in kind.__mro__):
        if not base.__module__.startswith("manim.") and base is not object:
            yield f"the class {base.__name__} or a global that it uses", _describe_class(base)
    yield "an attribute of the scene", _describe_values(vars(scene))
    yield "the state of random", repr(random.getstate()).encode()
    yield "the time or the number of plays", repr((scene.renderer.time, scene.renderer.num_plays)).encode()
    _, keys, *rest = np.random.get_state()  # noqa: NPY002  # the state that scenes use
    yield "the state of numpy.random", np.asarray(keys).tobytes() + repr(rest).encode()


def _find_mobjects(scene: Scene) -> Iterator[Mobject]:
    """Yield the mobjects that the scene shows or keeps in attributes of its own or of its camera."""
    roots: list[object] = [*scene.mobjects, *scene.foreground_mobjects, *scene.moving_mobjects]
    roots += [value for holder in (scene, scene.renderer.camera) for value in vars(holder).values()]
    for root in roots:
        if isinstance(root, ManimMobject):
            yield from iterate_family(root)


def describe_mobject(mobject: Mobject) -> bytes:
    """Return bytes that describe the plain attributes of one mobject."""
    values = vars(mobject)
    if "camera" in values:  # what an ImageMobjectFromCamera shows is drawn, and the stepping process does not draw
        values = {key: value for key, value in values.items() if key != "pixel_array"}
    return type(mobject).__name__.encode() + _describe_values(values)


def _describe_class(kind: type) -> bytes:
    """Return bytes that describe a class of the scene and the globals that its methods use: drawing may change them."""
    functions = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
    names = ((function.__globals__, name) for function in functions for name in function.__code__.co_names)
    return _describe_values({**vars(kind), **{name: held[name] for held, name in names if name in held}})


def _describe_values(values: Mapping[str, object]) -> bytes:
    parts: list[object] = []
    for key, value in values.items():
        if key in _LEFT_OUT:
            continue
        if type(value) in _IMMUTABLE:
            parts += (key, value)
        elif (described := describe_value(value)) is not None:
            parts += (key, (described,))
    return marshal.dumps(parts, _MARSHAL_VERSION)


def describe_value(value: object, depth: int = _MAX_DEPTH) -> bytes | None:
    """Return bytes that describe a plain value or a container of them; None for everything else."""
    if type(value) is int:
        return b"%x" % value  # repr refuses a number of thousands of digits
    if value is None or isinstance(value, _SCALARS):
        return repr(value).encode()
    if isinstance(value, np.ndarray):
        return None if value.dtype == object else repr(value.shape).encode() + value.tobytes()
    if isinstance(value, ManimColor):
        return value._internal_value.tobytes()  # type: ignore[no-any-return]  # noqa: SLF001
    return _describe_container(value, depth) if depth and isinstance(value, list | tuple | deque | dict) else None


def _describe_container(value: Container, depth: int) -> bytes:
    if len(value) >= _LARGE and (content := _describe_plain(value)) is not None:
        return content
    items: Iterable[object] = chain.from_iterable(value.items()) if isinstance(value, dict) else value
    return b"[" + b",".join(describe_value(item, depth - 1) or b"" for item in items) + b"]"


def _describe_plain(value: Container) -> bytes | None:
    """Return bytes that describe a container that holds plain values alone; None for others.

    A scene may keep a table of 300,000 rows. The interpreter writes that many times as fast as Python code reads it,
    and changes no reference counts, for which a forked process would have to copy the memory. Even that takes as long
    as drawing some frames; so what a table was like at the end of the last play is remembered.
    """
    if (known := _remembered.get(id(value))) and known.is_unchanged(value):
        return known.digest
    try:
        content = marshal.dumps(value, _MARSHAL_VERSION)  # type: ignore[arg-type]  # what cannot be written raises ValueError
    except ValueError:
        return None
    if len(value) < _VERY_LARGE:
        return content
    digest = sha256(content).digest()
    if isinstance(value, list | tuple) and _has_only_immutable_items(value):
        if len(_remembered) >= _MOST_REMEMBERED:
            _remembered.clear()
        _remembered[id(value)] = _Remembered(value, tuple(value), digest)
    return digest


@dataclass(frozen=True)
class _Remembered:
    """A list or tuple of immutable items, as it was when it was digested. It keeps them, so that no id is used anew."""

    container: Container
    items: tuple[object, ...]
    digest: bytes

    def is_unchanged(self, value: Container) -> bool:
        """Return whether the value is the container and has the same items: as these cannot change, it is the same."""
        is_same = value is self.container and len(value) == len(self.items)
        return is_same and all(map(operator.is_, value, self.items))


_remembered: dict[int, _Remembered] = {}


def _has_only_immutable_items(value: Sequence[object]) -> bool:
    """Return whether each item is immutable, or a tuple of what is."""
    kinds = set(map(type, value))
    if not kinds <= {tuple, *_IMMUTABLE}:
        return False
    rows = value if kinds == {tuple} else (item for item in value if isinstance(item, tuple))
    return set(map(type, chain.from_iterable(rows))) <= _IMMUTABLE  # type: ignore[arg-type]  # rows are tuples
