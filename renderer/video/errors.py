"""Errors of encoding a video."""

from __future__ import annotations

from backends.errors import OutputError, RendererError
from backends.exit_codes import ExitCode


class EncoderError(RendererError):
    """The video encoder failed, or rejected its settings."""

    exit_code = ExitCode.ENCODER


def translate_disk_error(error: OSError) -> OutputError:
    """Return the OutputError for a failed write: which file, and why."""
    where = f" ({error.filename})" if error.filename else ""
    return OutputError(
        f"the video could not be written: {error.strerror or error}{where}",
        hint="free some disk space, or point TMPDIR and --output to a larger disk",
    )
