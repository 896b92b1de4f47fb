"""What a render needs of a cache: this machine's own (``ChunkCache``), or one with a shared store behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from renderer.engine.cache.chunk_key import Key


class Cache(Protocol):
    """Keeps encoded chunks, SVG files of formulas, and voices, by their keys."""

    def has_first_frame(self, key: Key) -> bool:
        """Return whether the cache has a chunk with the same first frame."""

    def restore(self, key: Key, target: Path) -> bool:
        """Copy the chunk to ``target``. Return False, and leave nothing there, if the cache does not have it."""

    def keep(self, key: Key, source: Path) -> None:
        """Copy a chunk into the cache, as far as that is possible."""

    def prune(self) -> None:
        """Remove old entries of this machine's cache; called after each render."""
