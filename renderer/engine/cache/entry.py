"""Looks one chunk up in the chunk cache, or stores it. Its key is computed frame by frame, as the scene is stepped."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from renderer.engine.cache.chunk_key import ChunkKey
from renderer.engine.cache.frame_digest import FrameDigester
from renderer.engine.cache.interface import Cache
from renderer.engine.manim_types import Mobject, Renderer, Scene


class _SteppingRenderer(Renderer, Protocol):
    """The part of the engine's renderer that says what the current frame shows."""

    shown: list[Mobject]


class CacheEntry:
    """The cache entry of the chunk whose video file is ``target``.

    ``settings`` is the part of the key that is the same for all chunks of a render.
    """

    def __init__(self, scene: Scene, cache: Cache, settings: str, target: Path) -> None:
        self._scene, self._cache, self._target = scene, cache, target
        self._digester = FrameDigester(scene.renderer.camera)
        self._key = ChunkKey(settings)

    def add_static_image(self, digest: bytes | None) -> None:
        """Add the digest of the static image to the key."""
        self._key.add_static_image(digest)

    def add_frame(self, repeat: int) -> None:
        """Add the current frame of the scene, which is shown ``repeat`` times, to the key."""
        if self._key.is_known:
            renderer = cast("_SteppingRenderer", self._scene.renderer)
            on_background = renderer.static_image is None
            self._key.add_frame(self._digester.digest(renderer.shown, on_background=on_background), repeat)

    def is_likely_cached(self) -> bool:
        """Return whether the cache has a chunk with the same first frame. Call it after the first ``add_frame``."""
        return self._key.is_known and self._cache.has_first_frame(self._key)

    def restore(self) -> bool:
        """Copy the chunk from the cache to the target. Return whether the cache had it."""
        return self._key.is_known and self._cache.restore(self._key, self._target)

    def keep(self) -> None:
        """Store the finished file ``target`` in the cache."""
        if self._key.is_known:
            self._cache.keep(self._key, self._target)


def digest_static_image(scene: Scene) -> bytes | None:
    """Return the digest of what stands still during the play; None if it is not known."""
    return FrameDigester(scene.renderer.camera).digest(scene.static_mobjects, on_background=True)
