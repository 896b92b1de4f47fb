"""Look at this machine, or at the way to a backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from renderer.cli.options import Json
from renderer.doctor import examine
from renderer.doctor.line import Line, exit_code, show


def command(
    backend: Annotated[
        Literal["local", "modal"], typer.Option("--backend", "-b", help="What to look at; local is this machine.")
    ] = "local",
    json: Json = False,
) -> int:
    """Look at this machine or container: what renders and encodes here, what is missing, and what to do about it.

    GPU driver, CUDA, EGL and the encoders are used for real, not only looked for. With --backend modal: client, token,
    deployed app and volume. The exit code is 0 unless a line failed; warnings are things that only some scenes need.
    """
    return exit_code(show(examine() if backend == "local" else _modal(), as_json=json))


def _modal() -> Iterator[Line]:
    from backends.modal.doctor import checks
    from renderer import config

    for check in checks(config.load({}).settings.modal):
        yield Line(check.name, check.state, check.found, check.todo)
