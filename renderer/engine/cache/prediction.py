"""Predicts the key of a chunk before it is stepped, from what the play begins with.

A prediction may be wrong, for example after a change in an updater. The frames that are stepped then show it: their key
is another one. It saves the process that would draw the chunk, because nearly all predictions are right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from types import CodeType, FunctionType, MethodType

import numpy as np
from manim import Animation as ManimAnimation
from manim import Mobject as ManimMobject

from renderer.engine.cache.chunk_key import ChunkKey, StoredKey
from renderer.engine.cache.frame_digest import FrameDigester
from renderer.engine.manim_types import Scene

_PLAIN_TYPES = {int, float, str, bool, bytes, complex, type(None)}
_MAX_DEPTH = 4  # of animations in animations, and of code in code


def predict_keys(
    scene: Scene, digester: FrameDigester, settings: str, ranges: Iterable[tuple[int, int]]
) -> list[StoredKey] | None:
    """Return where the cache keeps the predicted key of each chunk of the compiled play.

    ``ranges`` are the chunks' first and last frames. None: what the play begins with has no digest.
    """
    parts = []
    for part in _describe_play(scene, digester):
        if part is None:
            return None
        parts.append(part)
    digest = blake2b(b"|".join(parts), digest_size=20).digest()
    keys, group = [], ChunkKey(settings).group  # that of the chunks, so that a shared cache lists one group
    for first, last in ranges:
        key = ChunkKey(f"prediction of {settings}", group)
        key.add_frame(b"%b %d %d" % (digest, first, last), 1)
        keys.append(StoredKey(key.group, key.first_frame, key.all_frames))
    return keys


def _describe_play(scene: Scene, digester: FrameDigester) -> Iterator[bytes | None]:
    yield digester.digest(scene.mobjects, on_background=True)
    yield repr((scene.get_run_time(scene.animations), bool(scene.static_mobjects))).encode()
    for animation in scene.animations:
        yield from _describe_animation(animation, digester, _MAX_DEPTH)
    for mobject in scene.mobjects:
        for member in mobject.get_family():
            for updater in vars(member).get("updaters", ()):
                yield _describe_function(updater)


def _describe_animation(animation: object, digester: FrameDigester, depth: int) -> Iterator[bytes | None]:
    yield type(animation).__qualname__.encode()
    for name, value in vars(animation).items():
        yield name.encode()
        if isinstance(value, ManimMobject):
            yield digester.digest_mobject(value)
        elif isinstance(value, FunctionType | MethodType):
            yield _describe_function(value)
        elif type(value) in _PLAIN_TYPES or isinstance(value, np.generic):
            yield repr(value).encode("utf-8", "surrogatepass")
        elif isinstance(value, np.ndarray) and value.dtype != object:
            yield value.tobytes()
        elif isinstance(value, list | tuple) and depth:
            for item in value:
                if isinstance(item, ManimAnimation):
                    yield from _describe_animation(item, digester, depth - 1)


def _describe_function(function: object) -> bytes:
    """Return bytes that another function has only if it has the same code."""
    code = getattr(function, "__code__", None)
    return b"".join(_describe_code(code, _MAX_DEPTH)) if isinstance(code, CodeType) else repr(type(function)).encode()


def _describe_code(code: CodeType, depth: int) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode("utf-8", "surrogatepass")
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):
            yield repr(constant).encode("utf-8", "surrogatepass") if type(constant) in _PLAIN_TYPES else b"?"
        elif depth:
            yield from _describe_code(constant, depth - 1)
