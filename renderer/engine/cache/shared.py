"""A cache with two ends: this machine's folder in front, and behind it the store that several machines share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from backends.cache.client import CacheClient
from renderer.engine.cache.chunk_key import Key
from renderer.engine.cache.store import ChunkCache

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SharedCache:
    """Looks in ``front`` first. What only one end has is then copied to the other one."""

    front: ChunkCache
    store: CacheClient

    def has_first_frame(self, key: Key) -> bool:
        """Return whether either end has a chunk with the same first frame."""
        return self.front.has_first_frame(key) or self.store.has(f"{key.group}/{key.first_frame}")

    def restore(self, key: Key, target: Path) -> bool:
        """Copy the chunk to ``target``. Return False if neither end has it."""
        name = _name_entry(key)
        if self.front.restore(key, target):
            if not self.store.has(name):
                self.store.put(name, target)
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        if not self.store.get(name, target):
            return False
        _log.debug("chunk %s: from the shared cache", key.all_frames)
        self.front.keep(key, target)
        return True

    def keep(self, key: Key, source: Path) -> None:
        """Copy a chunk to the front, and hand it over to be uploaded."""
        self.front.keep(key, source)
        self.store.put(_name_entry(key), source)

    def prune(self) -> None:
        """Reduce the front to its limit; `renderer gc --cache` does that for the store."""
        self.front.prune()


def _name_entry(key: Key) -> str:
    return f"{key.group}/{key.first_frame}/{key.all_frames}"
