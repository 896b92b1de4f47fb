"""Looks one chunk up in the chunk cache, or stores it. Its key is computed frame by frame, as the scene is stepped."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from renderer.engine.cache.chunk_key import ChunkKey, StoredKey
from renderer.engine.cache.frame_digest import FrameDigester
from renderer.engine.cache.interface import Cache
from renderer.engine.manim_types import Mobject, Renderer, Scene

_STORED = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40})(?: ([0-9a-f]{40})(?: ([0-9a-f]{40}))?)?")


class _SteppingRenderer(Renderer, Protocol):
    """The part of the engine's renderer that says what the current frame shows."""

    shown: list[Mobject]


@dataclass(frozen=True)
class PlayDigests:
    """Digests of a play of which frames can be left out, as it began and, with its last chunk, as it ended."""

    begun: str
    ended: str = ""


class CacheEntry:
    """The cache entry of the chunk whose video file is ``target``.

    ``digester`` is that of the scene's frames. ``settings`` is the part of the key that is the same for all chunks of a
    render. ``prediction`` names the entry that has the key of the last chunk for which the play began in the same way.
    ``play`` is stored with the key. After ``restore_predicted`` it is what was stored.
    """

    def __init__(
        self,
        scene: Scene,
        digester: FrameDigester,
        cache: Cache,
        settings: str,
        target: Path,
        prediction: StoredKey | None = None,
    ) -> None:
        self._scene, self._cache, self._target, self._prediction = scene, cache, target, prediction
        self._predicted: StoredKey | None = None
        self.play: PlayDigests | None = None
        self._digester = digester
        self._key = ChunkKey(settings)

    def digest_static_image(self) -> bytes | None:
        """Return the digest of what stands still during the play; None if it is not known."""
        return self._digester.digest(self._scene.static_mobjects, on_background=True)

    def add_static_image(self, digest: bytes | None) -> None:
        """Add the digest of the static image to the key."""
        self._key.add_static_image(digest)

    def add_frame(self, repeat: int, *, on_background: bool | None = None) -> None:
        """Add the current frame of the scene, which is shown ``repeat`` times, to the key.

        ``on_background`` says whether nothing stands still, where the renderer does not have the image of that.
        """
        if self._key.is_known:
            renderer = cast("_SteppingRenderer", self._scene.renderer)
            on_background = renderer.static_image is None if on_background is None else on_background
            self._key.add_frame(self._digester.digest(renderer.shown, on_background=on_background), repeat)

    def is_likely_cached(self) -> bool:
        """Return whether the cache has a chunk with the same first frame. Call it after the first ``add_frame``."""
        return self._key.is_known and self._cache.has_first_frame(self._key)

    def restore(self) -> bool:
        """Copy the chunk from the cache to the target. Return whether the cache had it."""
        found = self._key.is_known and self._cache.restore(self._key, self._target)
        if found:
            self._predict_next()
        return found

    def keep(self) -> None:
        """Store the finished file ``target`` in the cache."""
        if self._key.is_known:
            self._cache.keep(self._key, self._target)
            self._predict_next()

    def restore_predicted(self) -> bool:
        """Copy the chunk that the prediction names to the target. Return whether the cache had it."""
        note = self._note
        if not self._prediction or not self._cache.restore(self._prediction, note):
            return False
        found = _STORED.fullmatch(note.read_bytes())
        note.unlink()
        if not found:
            return False
        self._predicted = StoredKey(self._key.group, found[1].decode(), found[2].decode())
        self.play = PlayDigests(found[3].decode(), (found[4] or b"").decode()) if found[3] else None
        return self._cache.restore(self._predicted, self._target)

    @property
    def is_as_predicted(self) -> bool:
        """Whether the frames that were added are those of the chunk that was predicted."""
        key = self._key
        return key.is_known and self._predicted == StoredKey(key.group, key.first_frame, key.all_frames)

    @property
    def _note(self) -> Path:
        return self._target.with_suffix(".key")

    def _predict_next(self) -> None:
        """Let the next render predict this key."""
        if self._prediction:
            with suppress(OSError):  # then the next render does not predict it
                digests = (self.play.begun, self.play.ended) if self.play else ()
                parts = (self._key.first_frame, self._key.all_frames, *digests)
                self._note.write_text(" ".join(filter(None, parts)), "ascii")
                self._cache.keep(self._prediction, self._note)
                self._note.unlink()
