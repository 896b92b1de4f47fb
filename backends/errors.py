"""The errors that a user may see. ``str(error)`` says what happened, ``hint`` what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backends.exit_codes import ExitCode


class RendererError(Exception):
    """The base class. The command line prints message and hint and exits with ``exit_code``."""

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SpecError(RendererError):
    """The request is wrong, or the backend cannot run it. Nothing was sent."""

    exit_code = ExitCode.USAGE


class InputError(RendererError):
    """The inputs of a job are missing or damaged."""

    exit_code = ExitCode.INPUT


class JobNotFoundError(RendererError):
    """The backend has no job with that handle."""

    exit_code = ExitCode.NOT_FOUND


class BackendError(RendererError):
    """The backend refused, or is not set up. The same request will fail again."""

    exit_code = ExitCode.BACKEND


class StoreMissingError(BackendError):
    """The bucket or the PVC of a job does not exist."""


class TransientError(BackendError):
    """The backend did not answer. The same request may succeed later."""

    exit_code = ExitCode.TRANSIENT


class OutputError(RendererError):
    """Outputs could not be written, stored or verified. ``written`` are paths of the files that were written."""

    exit_code = ExitCode.OUTPUT

    def __init__(self, message: str, *, hint: str | None = None, written: Sequence[Path] = ()) -> None:
        super().__init__(message, hint=hint)
        self.written = written


class DiskError(OutputError):
    """Something could not be written to a folder of this machine. ``brief`` is the message without the folder."""

    def __init__(self, what: str, folder: Path, error: OSError, *, hint: str | None = None) -> None:
        super().__init__(f"cannot write {what} to {folder}: {error.strerror}", hint=hint)
        self.brief = f"cannot write {what}: {error.strerror}"


class ResultError(OutputError):
    """The result.json of a unit is not one that the worker writes. It concerns that unit alone."""
