"""One part's place in the segment cache: its key grows with each frame that the scene is stepped to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from renderer.engine.cache.frame_digest import Pictures
from renderer.engine.cache.store import ChunkCache, ChunkKey


class Keeping:
    """The key of a part that is to become the file ``target``; ``settings`` are those that all parts share."""

    def __init__(self, scene: Any, cache: ChunkCache, settings: str, target: Path) -> None:
        self._scene, self._cache, self._target = scene, cache, target
        self._pictures = Pictures(scene.renderer.camera)
        self._key = ChunkKey(settings)

    def start_from(self, static_picture: bytes | None) -> None:
        """Take note of what the static image shows."""
        self._key.start_from(static_picture)

    def add(self, repeat: int) -> None:
        """Take note of what the frame shows that has just been stepped to."""
        if self._key.known:
            renderer = self._scene.renderer
            self._key.add(self._pictures.digest(renderer.shown, on_background=renderer.static_image is None), repeat)

    def likely(self) -> bool:
        """After the first frame: tell whether a part that begins like this one is in the cache."""
        return self._key.known and self._cache.may_have(self._key)

    def take(self) -> bool:
        """Copy the part from the cache, if one with just the frames so far is there."""
        return self._key.known and self._cache.take(self._key, self._target)

    def keep(self) -> None:
        """Put the painted part into the cache."""
        if self._key.known:
            self._cache.keep(self._key, self._target)


def static_picture(scene: Any) -> bytes | None:
    """Digest what stands still during the play."""
    return Pictures(scene.renderer.camera).digest(scene.static_mobjects, on_background=True)
