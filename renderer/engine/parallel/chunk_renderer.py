"""A forked child: paints and encodes one part of a play, or finds it painted, tells its parent, and ends."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from renderer.engine.adapter.frame_hashes import frame_hash
from renderer.engine.adapter.state_digest import state_digest
from renderer.engine.cache.entry import Keeping, static_picture
from renderer.engine.parallel.child import Child
from renderer.engine.parallel.play import Part, Play
from renderer.engine.process.scene_process import SceneProcess
from renderer.video.frame import Pixels
from renderer.video.pyav_encoder import OpenEncoder, VideoWriter

TOLD_EVERY = 8  # frames


class Painter(Child):
    """The crew of that child.

    ``paints`` is false in a fork of the painter that only steps to the end of the part, to look it up in the cache.
    """

    def __init__(
        self,
        scene: Any,
        process: SceneProcess,
        play: Play,
        part: Part,
        pipe: int,
        opened: OpenEncoder,
        keeping: Keeping | None,
    ) -> None:
        super().__init__(scene, play, pipe)
        self._process, self._part, self._opened, self._keeping = process, part, opened, keeping
        self.paints = True
        self._taken = self._begun = False
        self._encoder: VideoWriter | None = None
        self._hashes: list[str] = []
        self._untold = 0

    def static_image(self, painted: Pixels | None) -> Pixels | None:
        """Share the image with the children that paint the rest of the play."""
        if painted is None:
            return None
        if self._keeping:
            self._keeping.start_from(static_picture(self._scene))
        return self._play.static.publish(painted) if self._play.static else painted.copy()

    def take_over(self) -> None:
        """Start inside the play: what stands still has been painted by the child of the first part."""
        if self._play.static and self._scene.static_mobjects:
            self._scene.renderer.static_image = self._play.static.wait()
            if self._keeping:
                self._keeping.start_from(self._play.static_picture)

    def frame(self, pixels: Pixels | None, repeat: int) -> None:
        """Encode."""
        if self._keeping:
            self._keeping.add(repeat)
            if not self._begun:
                self._look(self._keeping)
        self._begun = True
        if self.paints:
            self._encode(pixels, repeat)
        self._count(repeat)
        if not self._part.final and self._play.frame == self._part.last:
            self._finish()

    def _look(self, keeping: Keeping) -> None:
        """Find out whether the part was painted before. Only who has stepped to its end knows its key: a fork."""
        if not keeping.likely():
            return
        if self._part.last - self._part.first == 1:
            self._taken = keeping.take()
            self.paints = not self._taken
            return
        read, write = self._process.create_pipe()
        pid = self._process.fork()
        if not pid:
            self.paints, self._pipe = False, write
            return
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            answer = stream.read()
        os.waitpid(pid, 0)
        if answer:
            os.write(self._pipe, answer)
            os._exit(0)

    def _encode(self, pixels: Pixels | None, repeat: int) -> None:
        assert pixels is not None  # noqa: S101  # for the type checker
        if self._encoder is None:
            self._encoder = self._opened(self._part.path, self._scene.session_spec.video_encoder)
        if self._part.hashes:
            self._hashes += [frame_hash(pixels)] * repeat
        self._encoder.write(pixels, repeat)

    def _count(self, frames: int) -> None:
        self._play.frame += frames
        self._untold += frames
        if self.paints and self._untold >= TOLD_EVERY:
            self._tell(frames=self._untold)
            self._untold = 0

    def end_play(self) -> None:
        """End with the play."""
        self._finish()

    def _finish(self) -> NoReturn:
        digest = state_digest(self._scene)
        if self.paints:
            self._close_file()
            self._tell(frames=self._untold, digest=digest)
        elif self._taken or (self._keeping and self._keeping.take()):
            self._tell(frames=self._untold, cached=self._untold, digest=digest)
        os._exit(0)

    def _close_file(self) -> None:
        assert self._encoder is not None  # noqa: S101  # a play has a frame
        self._encoder.finish()
        if self._part.hashes:
            self._part.hashes.write_text("".join(f"{line}\n" for line in self._hashes))
        if self._keeping:
            self._keeping.keep()

    def failed(self, error: BaseException) -> NoReturn:
        """Tell what went wrong, and end. Who only looks for the part leaves that to who paints it."""
        if not self.paints:
            os._exit(1)
        super().failed(error)
