"""Wait for a job."""

from __future__ import annotations

from typing import Annotated

import typer

from backends.errors import SpecError, TransientError
from backends.exit_codes import ExitCode
from backends.option_types import parse_duration
from renderer import api
from renderer.cli.options import Handle, Json
from renderer.cli.output import print_json, status_json, status_lines
from renderer.cli.status_display import StatusDisplay


def command(
    handle: Handle,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Stop waiting after this time: 90s, 10m, 1h30m; the job keeps running."),
    ] = None,
    json: Json = False,
) -> int:
    """Wait until a job has ended. The exit code is the job's; 5 if --timeout passed."""
    seconds = None if timeout is None else _seconds(timeout)
    job = api.open_job(handle)
    try:
        with StatusDisplay(quiet=json) as display:
            status = job.wait(seconds, on_status=display.show)
    except TimeoutError as error:
        raise TransientError(str(error), hint=f"renderer status {job.handle}") from error
    if json:
        print_json(status_json(status))
    else:
        print("\n".join(status_lines(status)))
    return status.exit_code or ExitCode.OK


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise SpecError(f"--timeout cannot be {text!r}: {error}") from error
