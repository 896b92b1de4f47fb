"""Show the state of a job."""

from __future__ import annotations

from renderer import api
from renderer.cli.options import Handle, Json
from renderer.cli.output import print_json, status_json, status_lines


def command(handle: Handle, json: Json = False) -> None:
    """Show the state of a job and of each of its units, and why it waits or failed."""
    status = api.open_job(handle).status()
    if json:
        print_json(status_json(status))
    else:
        print("\n".join(status_lines(status)))
