"""Look at this machine."""

from __future__ import annotations

from renderer.cli.options import Json
from renderer.doctor import examine
from renderer.doctor.line import exit_code, show


def command(json: Json = False) -> int:
    """Look at this machine or container: what renders and encodes here, what is missing, and what to do about it.

    GPU driver, CUDA, EGL and the encoders are used for real, not only looked for. The exit code is 0 unless a line
    failed; warnings are things that only some scenes need.
    """
    return exit_code(show(examine(), as_json=json))
