"""A forked child: paints and encodes one part of a play, tells its parent, and ends."""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from backends.errors import OutputError
from renderer.engine.digest import state_digest
from renderer.engine.encode import Opened, VideoWriter
from renderer.engine.errors import EncoderError, Unfit
from renderer.engine.frame_hashes import frame_hash
from renderer.engine.pixels import Pixels
from renderer.engine.plays import Part, Play, manim_cache_key

TOLD_EVERY = 8  # frames


class Painter:
    """The crew of a child. It never returns to the scene's own code: it ends with its part."""

    paints = True

    def __init__(self, scene: Any, play: Play, part: Part, pipe: int, opened: Opened) -> None:
        self._scene, self._play, self._part, self._pipe, self._opened = scene, play, part, pipe, opened
        self._encoder: VideoWriter | None = None
        self._hashes: list[str] = []
        self._untold = 0

    def begin_play(self) -> tuple[str, bool]:
        """Tell Manim's cache key of the play, if the parent may need it."""
        if self._play.fingerprint and not self._play.cache_key:
            self._tell(cache_key=manim_cache_key(self._scene))
        return self._play.name, False

    def static_image(self, painted: Pixels | None) -> Pixels | None:
        """Share the image with the children that paint the rest of the play."""
        if painted is None:
            return None
        return self._play.static.publish(painted) if self._play.static else painted.copy()

    def take_over(self) -> None:
        """Start inside the play: what stands still has been painted by the child of the first part."""
        if self._play.static and self._scene.static_mobjects:
            self._scene.renderer.static_image = self._play.static.wait()

    def before_frame(self) -> None:
        """Nothing to do."""

    def frame(self, pixels: Pixels | None, repeat: int) -> None:
        """Encode."""
        assert pixels is not None  # noqa: S101  # for the type checker
        if self._encoder is None:
            self._encoder = self._opened(self._part.path, self._scene.session_spec.video_encoder)
        if self._part.hashes:
            self._hashes += [frame_hash(pixels)] * repeat
        self._encoder.write(pixels, repeat)
        self._count(repeat)
        if not self._part.final and self._play.frame == self._part.last:
            self._finish()

    def _count(self, frames: int) -> None:
        self._play.frame += frames
        self._untold += frames
        if self._untold >= TOLD_EVERY:
            self._tell(frames=self._untold)
            self._untold = 0

    def end_play(self) -> None:
        """End with the play."""
        self._finish()

    def _finish(self) -> NoReturn:
        digest = state_digest(self._scene)
        assert self._encoder is not None  # noqa: S101  # a play has a frame
        self._encoder.finish()
        if self._part.hashes:
            self._part.hashes.write_text("".join(f"{line}\n" for line in self._hashes))
        self._tell(frames=self._untold, digest=digest)
        os._exit(0)

    def failed(self, error: BaseException) -> NoReturn:
        """Tell what went wrong, and end."""
        kinds = {EncoderError: "encoder", OutputError: "output", MemoryError: "memory", Unfit: "unfit"}
        kind = next((name for cls, name in kinds.items() if isinstance(error, cls)), "raised")
        text = (str(error) if kind != "raised" else f"{type(error).__name__}: {error}")[:2000]
        self._tell(error=kind, text=text, hint=getattr(error, "hint", None))
        os._exit(1)

    def _tell(self, **message: Any) -> None:
        os.write(self._pipe, json.dumps(message).encode() + b"\n")

    def finish(self) -> dict[str, list[Part]]:
        """Never called: a painter ends before the scene does."""
        raise NotImplementedError

    def abort(self) -> None:
        """Nothing to end."""
