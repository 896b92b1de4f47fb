"""The forked process that looks a play up in the chunk cache, or encodes the frames that chunk renderers draw."""

from __future__ import annotations

import os
from typing import NoReturn

from renderer.engine.adapter.state_digest import digest_state
from renderer.engine.cache.entry import CacheEntry
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.forked_delegate import ForkedDelegate
from renderer.engine.parallel.messages import ChunksEncoded, PlayEncoded, PlayFound, PlayMayBeCached, PlayMissed
from renderer.engine.parallel.play import SingleEncoderPlay
from renderer.video.frame import Pixels
from renderer.video.pyav_encoder import PyAVEncoder


class PlayEncoder(ForkedDelegate):
    """Does the work of a play encoder, as the RenderDelegate in its process.

    If there is a cache, it first steps to the end of the play: the play's cache key is known only then.
    """

    draws = False

    def __init__(self, scene: Scene, play: SingleEncoderPlay, pipe: int, entry: CacheEntry | None) -> None:
        super().__init__(scene, play, pipe)
        self._buffers, self._entry = play.buffers, entry
        self._frames = 0

    def begin(self) -> None:
        """Encode at once if there is no cache; otherwise return, so that the scene's code steps through the play."""
        if not self._entry:
            self._encode()
        self.begin_play()

    def share_static_image(self, drawn: Pixels | None) -> None:  # noqa: ARG002
        """Add what stands still to the cache key."""
        if self._entry:
            self._entry.add_static_image(self._entry.digest_static_image())

    def take_frame(self, pixels: Pixels | None, repeat: int) -> None:  # noqa: ARG002
        """Add the frame to the cache key. After the first frame, report whether the cache may have the play."""
        if self._entry:
            self._entry.add_frame(repeat)
            if not self._frames:
                self._send(PlayMayBeCached(self._entry.is_likely_cached()))
        self._frames += repeat

    def end_play(self) -> None:
        """Take the play from the cache, or encode what the chunk renderers draw."""
        if self._entry and self._entry.restore():
            self._send(PlayFound(self._frames, digest_state(self._scene)))
            os._exit(0)
        self._send(PlayMissed())
        self._encode()

    def _encode(self) -> NoReturn:
        try:
            spec = self._scene.session_spec.video_encoder
            assert spec  # noqa: S101  # for the type checker: a video is made
            encoder = PyAVEncoder(self._play.identity.path, spec)
            encode_s = self._buffers.encode_chunks(encoder, lambda chunks: self._send(ChunksEncoded(chunks)))
            if self._entry:
                self._entry.keep()
            self._send(PlayEncoded(encode_s))
        except BaseException as error:  # noqa: BLE001  # the parent raises it
            self.report_failure(error)
        os._exit(0)
