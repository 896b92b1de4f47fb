"""Errors of encoding a video."""

from __future__ import annotations

from backends.errors import OutputError, RendererError
from backends.exit_codes import ExitCode


class EncoderError(RendererError):
    """The video encoder failed, or refused its settings."""

    exit_code = ExitCode.ENCODER


def disk_full(error: OSError) -> OutputError:
    """Say which write failed, and why."""
    where = f" ({error.filename})" if error.filename else ""
    return OutputError(
        f"the video could not be written: {error.strerror or error}{where}",
        hint="free some disk space, or point TMPDIR and --output to a bigger disk",
    )
