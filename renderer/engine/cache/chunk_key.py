"""The key of a chunk in the chunk cache."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


class ChunkKey:
    """The key of a chunk, built frame by frame. If a frame has no digest, ``is_known`` is false: there is no key.

    Chunks of the same ``group`` are listed together in a shared cache; by default those with the same settings are one.
    """

    def __init__(self, settings: str, group: str = "") -> None:
        self.group = group or blake2b(settings.encode(), digest_size=8).hexdigest()
        self._hasher = blake2b(settings.encode(), digest_size=20)
        self.first_frame = ""
        self.is_known = True

    def add_static_image(self, digest: bytes | None) -> None:
        """Add the static image, on top of which every frame is drawn."""
        self._add(digest)

    def add_frame(self, digest: bytes | None, repeat: int) -> None:
        """Add a frame that is shown ``repeat`` times."""
        self._add(digest)
        self._hasher.update(b"%d;" % repeat)
        self.first_frame = self.first_frame or self._hasher.hexdigest()

    def _add(self, digest: bytes | None) -> None:
        self.is_known &= digest is not None
        self._hasher.update(digest or b"")

    @property
    def all_frames(self) -> str:
        """The key of all frames so far."""
        return self._hasher.hexdigest()


@dataclass(frozen=True)
class StoredKey:
    """A key that is complete: the names of an entry in a cache."""

    group: str
    first_frame: str
    all_frames: str


Key = ChunkKey | StoredKey
