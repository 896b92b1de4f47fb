"""What can go wrong while a scene is rendered. What the scene itself raises comes through as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from backends.errors import OutputError, RendererError
from backends.exit_codes import ExitCode


class SceneError(RendererError):
    """The scene raised an error in a process of its own; ``lines`` is its traceback as text."""

    exit_code = ExitCode.USER_CODE

    def __init__(self, message: str, *, lines: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.lines = lines


class EncoderError(RendererError):
    """The video encoder failed, or refused its settings."""

    exit_code = ExitCode.ENCODER


class OutOfMemoryError(RendererError):
    """The kernel ended a child because memory ran out."""

    exit_code = ExitCode.OUT_OF_MEMORY


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


def disk_full(error: OSError) -> OutputError:
    """Say which write failed, and why."""
    where = f" ({error.filename})" if error.filename else ""
    return OutputError(
        f"the video could not be written: {error.strerror or error}{where}",
        hint="free some disk space, or point TMPDIR and --output to a bigger disk",
    )
