"""Wait for a job."""

from __future__ import annotations

from typing import Annotated

import typer

from backends.errors import TransientError
from backends.exit_codes import ExitCode
from renderer import api
from renderer.cli.options import Handle, Json
from renderer.cli.output import print_json, status_json, status_lines
from renderer.cli.progress import Progress


def command(
    handle: Handle,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Give up waiting after this time; the job goes on.")
    ] = None,
    json: Json = False,
) -> int:
    """Wait until a job has ended; the exit code is the job's."""
    job = api.open_job(handle)
    try:
        with Progress(quiet=json) as progress:
            status = job.wait(timeout, on_status=progress.show)
    except TimeoutError as error:
        raise TransientError(str(error), hint=f"renderer status {job.handle}") from error
    if json:
        print_json(status_json(status))
    else:
        print("\n".join(status_lines(status)))
    return status.exit_code or ExitCode.OK
