"""Exceptions that end a parallel render from inside the scene's own code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from backends.errors import RendererError


class Stop(BaseException):
    """Ends the stepping of a scene. Not an Exception: a scene's own ``except Exception`` must not swallow it.

    One that a scene's bare ``except`` did swallow is ``swallowed`` still, and is raised again.
    """

    swallowed: ClassVar[Stop | None] = None

    def __init__(self, said: object) -> None:
        super().__init__(said)
        Stop.swallowed = self

    @staticmethod
    def again() -> None:
        """Raise what was swallowed."""
        if Stop.swallowed:
            raise Stop.swallowed


class StopRecord:
    """Remembers the Stop that one render raised: a scene's bare ``except`` may have swallowed it.

    Every Stop that can reach the scene's own code is raised by ``raise_stop``. One record belongs to one render and is
    passed to whatever raises: guards, renderer, scheduler.
    """

    def __init__(self) -> None:
        self._stop: Stop | None = None

    def raise_stop(self, stop: Stop) -> NoReturn:
        """Remember the stop, and raise it."""
        self._stop = stop
        raise stop

    def raise_again(self) -> None:
        """Raise the stop that was raised before, if there was one."""
        if self._stop:
            raise self._stop


class Unfit(Stop):
    """The scene cannot be rendered in parallel with identical frames; the text says why, in one clause."""


class Failed(Stop):
    """A painter failed with one of our errors."""

    def __init__(self, error: RendererError) -> None:
        super().__init__(str(error))
        self.error = error


class Killed(Stop):
    """A painter was killed, most likely by the kernel for memory; ``painted`` are the plays that need no second try."""

    def __init__(self, play: int) -> None:
        super().__init__(play)
        self.play = play
        self.painted: Mapping[int, Any] = {}
