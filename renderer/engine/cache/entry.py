"""The entry of one chunk in the chunk cache; its key grows with every frame that the scene is stepped to."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from renderer.engine.cache.chunk_key import ChunkKey
from renderer.engine.cache.frame_digest import FrameDigester
from renderer.engine.cache.store import ChunkCache
from renderer.engine.manim_types import Mobject, Renderer, Scene


class _SteppingRenderer(Renderer, Protocol):
    """The part of the engine's renderer that says what the current frame shows."""

    shown: list[Mobject]


class CacheEntry:
    """The key of a chunk whose video file is ``target``. ``settings`` are what all chunks of a render share."""

    def __init__(self, scene: Scene, cache: ChunkCache, settings: str, target: Path) -> None:
        self._scene, self._cache, self._target = scene, cache, target
        self._digester = FrameDigester(scene.renderer.camera)
        self._key = ChunkKey(settings)

    def add_static_image(self, digest: bytes | None) -> None:
        """Add the static image from which every frame starts, as its digest."""
        self._key.add_static_image(digest)

    def add_frame(self, repeat: int) -> None:
        """Add the frame that the scene was stepped to; it is shown ``repeat`` times."""
        if self._key.is_known:
            renderer = cast("_SteppingRenderer", self._scene.renderer)
            on_background = renderer.static_image is None
            self._key.add_frame(self._digester.digest(renderer.shown, on_background=on_background), repeat)

    def is_likely_cached(self) -> bool:
        """Return, after the first frame, whether the cache has a chunk that begins with it."""
        return self._key.is_known and self._cache.has_first_frame(self._key)

    def restore(self) -> bool:
        """Copy the chunk from the cache to the target. Return whether the cache had it."""
        return self._key.is_known and self._cache.restore(self._key, self._target)

    def keep(self) -> None:
        """Copy the target into the cache."""
        if self._key.is_known:
            self._cache.keep(self._key, self._target)


def digest_static_image(scene: Scene) -> bytes | None:
    """Return the digest of what stands still during the play; None if it is not known."""
    return FrameDigester(scene.renderer.camera).digest(scene.static_mobjects, on_background=True)
