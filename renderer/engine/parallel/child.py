"""What the children that one scene forks have in common: they tell their parent how they fare, and end."""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from backends.errors import OutputError
from renderer.engine.abort import Unfit
from renderer.engine.parallel.play import Play, manim_cache_key
from renderer.video.errors import EncoderError


class Child:
    """The crew of a child, which tells its parent by lines of JSON. It never returns to the scene's own code."""

    def __init__(self, scene: Any, play: Play, pipe: int) -> None:
        self._scene, self._play, self._pipe = scene, play, pipe

    def begin_play(self) -> tuple[str, bool]:
        """Go on with the play that the parent has named; tell Manim's cache key of it, if the parent may need it."""
        if self._play.fingerprint and not self._play.cache_key:
            self._tell(cache_key=manim_cache_key(self._scene))
        return self._play.name, False

    def before_frame(self) -> None:
        """Nothing to do."""

    def failed(self, error: BaseException) -> NoReturn:
        """Tell what went wrong, and end."""
        kinds = {EncoderError: "encoder", OutputError: "output", MemoryError: "memory", Unfit: "unfit"}
        kind = next((name for cls, name in kinds.items() if isinstance(error, cls)), "raised")
        text = (str(error) if kind != "raised" else f"{type(error).__name__}: {error}")[:2000]
        self._tell(error=kind, text=text, hint=getattr(error, "hint", None))
        os._exit(1)

    def _tell(self, **message: Any) -> None:
        os.write(self._pipe, json.dumps(message).encode() + b"\n")

    def finish(self) -> NoReturn:
        """Never called: a child ends before the scene does."""
        raise NotImplementedError

    def abort(self) -> None:
        """Nothing to end."""
