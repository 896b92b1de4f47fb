"""Errors of the engine. What the scene itself raises is passed on unchanged."""

from __future__ import annotations

from backends.errors import RendererError
from backends.exit_codes import ExitCode


class SceneError(RendererError):
    """The scene raised an error in a process of the engine; ``lines`` is its traceback as text."""

    exit_code = ExitCode.USER_CODE

    def __init__(self, message: str, *, lines: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.lines = lines


class OutOfMemoryError(RendererError):
    """The kernel killed a process of the engine because memory ran out."""

    exit_code = ExitCode.OUT_OF_MEMORY
