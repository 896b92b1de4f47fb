"""Every error that a user may see: ``str(error)`` is what happened, ``hint`` what to do next."""

from __future__ import annotations

from typing import ClassVar

from backends.exit_codes import ExitCode


class RendererError(Exception):
    """The root of our errors. The command line prints message and hint and exits with ``exit_code``."""

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SpecError(RendererError):
    """The request is wrong or cannot run there; nothing was sent."""

    exit_code = ExitCode.USAGE


class InputError(RendererError):
    """The inputs of a job are missing or damaged."""

    exit_code = ExitCode.INPUT


class JobNotFoundError(RendererError):
    """No job with that handle is known there."""

    exit_code = ExitCode.NOT_FOUND


class BackendError(RendererError):
    """The place where the job runs refused, or is not set up; trying again as it is will not help."""

    exit_code = ExitCode.BACKEND


class StoreMissingError(BackendError):
    """The bucket or claim of a job does not exist."""


class TransientError(BackendError):
    """The place where the job runs did not answer; trying again may help."""

    exit_code = ExitCode.TRANSIENT


class OutputError(RendererError):
    """Outputs could not be written, stored or verified."""

    exit_code = ExitCode.OUTPUT
