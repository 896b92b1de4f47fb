"""Exceptions that end a parallel render from inside the scene's own code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NoReturn

from backends.errors import RendererError


class Stop(BaseException):
    """Ends the stepping of a scene. A BaseException, so that the scene's own ``except Exception`` does not catch it."""


class Unfit(Stop):
    """The scene cannot be rendered in parallel with identical frames; the text is the reason, in one clause."""


class UnfitFromHere(Unfit):
    """The scene cannot be rendered in parallel any more; the plays that have ended are right.

    With ``needs_pixels``, what follows needs the last frame of the last play as well.
    """

    def __init__(self, reason: str, *, needs_pixels: bool = False) -> None:
        super().__init__(reason)
        self.needs_pixels = needs_pixels


class UnfitInGroup(Unfit):
    """A play that joined a group went wrong, and may be right in a chunk renderer of its own."""


class Mispredicted(Stop):  # ends an attempt, as its siblings
    """A play that was predicted to be in the chunk cache is another one."""

    def __init__(self, play: int) -> None:
        super().__init__(f"play {play} was mispredicted")
        self.play = play


class KeysNeeded(Stop):
    """Two plays may be the same for Manim: the scene is stepped again, with Manim's keys of the plays in question."""

    def __init__(self) -> None:
        super().__init__("plays may repeat others that were predicted")


class FramesNeeded(Stop):
    """A play of which frames were left out leads to another state: the scene is stepped again, with every frame."""

    def __init__(self, play: int) -> None:
        super().__init__(f"play {play} leads to another state without the frames that were left out")


class ProcessFailed(Stop):
    """A chunk renderer or a play encoder failed with a RendererError, such as a full disk; it ends the render."""

    def __init__(self, error: RendererError) -> None:
        super().__init__(str(error))
        self.error = error


class ProcessKilled(Stop):
    """A chunk renderer or a play encoder was killed, most likely by the kernel because memory ran out."""

    def __init__(self, play: int) -> None:
        super().__init__(play)
        self.play = play


class ShardEnded(Stop):
    """The shard has drawn its share, and others have not: one of them joins the clips."""


class ShardsDiffer(Stop):
    """The shards do not agree about the scene, so that one process must render it; the text says where, in a clause."""


class ClipsMissing(Stop):
    """All shards have arrived, but the store has lost clips: this shard must draw them. Each is a play and a number."""

    def __init__(self, clips: Collection[tuple[int, int]]) -> None:
        super().__init__(str(sorted(clips)))
        self.clips = tuple(sorted(clips))


class StopRecord:
    """Remembers the first Stop of one attempt to render a scene: a bare ``except`` in the scene may catch it.

    Everything that raises a Stop from inside the scene's code does it through the attempt's record. ``num_plays`` is
    the number of plays that had ended by then.
    """

    def __init__(self) -> None:
        self._stop: Stop | None = None
        self.num_plays = 0

    def end_play(self) -> None:
        """Count a play that has ended."""
        if not self._stop:
            self.num_plays += 1

    @property
    def first_undrawn(self) -> int:
        """The number of the first play that is to be drawn after an UnfitFromHere."""
        needs_pixels = isinstance(self._stop, UnfitFromHere) and self._stop.needs_pixels
        return max(0, self.num_plays - needs_pixels)

    def raise_stop(self, stop: Stop) -> NoReturn:
        """Raise the Stop, and remember it."""
        self._stop = self._stop or stop
        raise stop

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Remember each Stop that the block raises."""
        try:
            yield
        except Stop as stop:
            self._stop = self._stop or stop
            raise

    def raise_again(self) -> None:
        """Raise the remembered Stop again, if there is one."""
        if self._stop:
            raise self._stop
