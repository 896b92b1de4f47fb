"""A digest of everything that the next frames depend on, to tell whether parent and child went the same way."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain
from types import FunctionType
from typing import Any

import numpy as np
from manim import ManimColor, Mobject

_SCALARS = (int, float, str, complex, bytes, np.generic)
_DEEPEST = 4  # containers within containers that are looked into
_own_hash: Any = object.__hash__
_LEFT_OUT = {"original_id"}  # an address
_LEFT_OUT |= {"submobjects", "updaters", "mobjects", "moving_mobjects", "static_mobjects"}  # nothing plain in them


def state_digest(scene: Any) -> str:  # a Manim scene
    """Digest points, colours and plain attributes of all mobjects in reach, the random states and the time."""
    hasher = blake2b(digest_size=16)
    seen: set[int] = set()
    kinds: dict[type, None] = {}  # in the order of their first mobjects
    for mobject in _reachable(scene):
        if id(mobject) not in seen:
            seen.add(id(mobject))
            kinds[type(mobject)] = None
            hasher.update(_mobject_bytes(mobject))
    for base in dict.fromkeys(base for kind in kinds for base in kind.__mro__):
        if not base.__module__.startswith("manim.") and base is not object:
            hasher.update(_class_bytes(base))
    hasher.update(_plain_bytes(vars(scene)))
    hasher.update(repr((random.getstate(), scene.renderer.time, scene.renderer.num_plays)).encode())
    _, keys, *rest = np.random.get_state()  # noqa: NPY002  # the state that scenes use
    hasher.update(np.asarray(keys).tobytes() + repr(rest).encode())
    return hasher.hexdigest()


def points_fingerprint(mobjects: Iterable[Any]) -> int:
    """Sum hashes of the points of all mobjects and their submobjects, in whatever order they stand.

    Zero where Manim's own key of a play does not have the points of all: it leaves out an attribute ``background``, and
    the second of two mobjects that are equal.
    """
    total = 0
    for mobject in mobjects:
        for member in _family(mobject):
            if isinstance(vars(member).get("background"), Mobject) or type(member).__hash__ is not _own_hash:
                return 0
            total += hash(member.points.tobytes())
    return total


def _reachable(scene: Any) -> Iterator[Any]:
    from manim import Mobject

    roots = [*scene.mobjects, *scene.foreground_mobjects, *scene.moving_mobjects]
    roots += [value for holder in (scene, scene.renderer.camera) for value in vars(holder).values()]
    for root in roots:
        if isinstance(root, Mobject):
            yield from _family(root)


def _family(mobject: Any) -> Iterator[Any]:
    stack = [mobject]
    while stack:
        member = stack.pop()
        yield member
        stack.extend(reversed(member.submobjects))


def _mobject_bytes(mobject: Any) -> bytes:
    values = vars(mobject)
    if "camera" in values:  # what an ImageMobjectFromCamera shows is painted, and the parent does not paint
        values = {key: value for key, value in values.items() if key != "pixel_array"}
    return type(mobject).__name__.encode() + _plain_bytes(values)


def _class_bytes(kind: type) -> bytes:
    """Write down a scene's own class and the global names in its methods: it may note there that it is painted."""
    functions = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
    names = ((function.__globals__, name) for function in functions for name in function.__code__.co_names)
    return _plain_bytes({**vars(kind), **{name: held[name] for held, name in names if name in held}})


def _plain_bytes(values: dict[str, Any]) -> bytes:
    return b";".join(
        key.encode("utf-8", "surrogatepass") + b"=" + plain
        for key, value in values.items()
        if key not in _LEFT_OUT and (plain := _plain(value, _DEEPEST)) is not None
    )


def _plain(value: Any, depth: int) -> bytes | None:
    """Write down plain values and containers of them; None for all else."""
    if type(value) is int:
        return b"%x" % value  # repr refuses a number of thousands of digits
    if value is None or isinstance(value, _SCALARS):
        return repr(value).encode()
    if isinstance(value, np.ndarray):
        return None if value.dtype == object else repr(value.shape).encode() + value.tobytes()
    if isinstance(value, ManimColor):
        return value._internal_value.tobytes()  # type: ignore[no-any-return]  # noqa: SLF001
    if not depth or not isinstance(value, list | tuple | deque | dict):
        return None
    parts = chain.from_iterable(value.items()) if isinstance(value, dict) else value
    return b"[" + b",".join(_plain(part, depth - 1) or b"" for part in parts) + b"]"
