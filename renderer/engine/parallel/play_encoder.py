"""A forked child: encodes a long play that several painters paint, or finds it in the cache."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from renderer.engine.adapter.state_digest import state_digest
from renderer.engine.cache.entry import Keeping, static_picture
from renderer.engine.parallel.child import Child
from renderer.engine.parallel.frame_buffers import Joining
from renderer.engine.parallel.play import Play
from renderer.video.frame import Pixels
from renderer.video.pyav_encoder import PyAVEncoder


class PlayEncoder(Child):
    """The crew of that child. Where there is a cache it steps to the end of the play first, to learn the key."""

    paints = False

    def __init__(self, scene: Any, play: Play, pipe: int, joining: Joining, keeping: Keeping | None) -> None:
        super().__init__(scene, play, pipe)
        self._joining, self._keeping = joining, keeping
        self._frames = 0

    def begin(self) -> None:
        """Encode at once, where there is no key to learn; otherwise go on with the scene."""
        if not self._keeping:
            self._encode()
        self.begin_play()

    def static_image(self, painted: Pixels | None) -> None:  # noqa: ARG002
        """Take note of what stands still."""
        if self._keeping:
            self._keeping.start_from(static_picture(self._scene))

    def frame(self, pixels: Pixels | None, repeat: int) -> None:  # noqa: ARG002
        """Take note of what the frame shows; after the first, tell whether the play may be there."""
        if self._keeping:
            self._keeping.add(repeat)
            if not self._frames:
                self._tell(likely=self._keeping.likely())
        self._frames += repeat

    def end_play(self) -> None:
        """Take the play from the cache, or encode what the painters paint."""
        if self._keeping and self._keeping.take():
            self._tell(taken=state_digest(self._scene), frames=self._frames, cached=self._frames)
            os._exit(0)
        self._tell(taken=None)
        self._encode()

    def _encode(self) -> NoReturn:
        try:
            encoder = PyAVEncoder(self._play.path, self._scene.session_spec.video_encoder)
            self._joining.encode(encoder, lambda parts: self._tell(joined=parts))
            if self._keeping:
                self._keeping.keep()
        except BaseException as error:  # noqa: BLE001  # the parent says it
            self.failed(error)
        os._exit(0)
