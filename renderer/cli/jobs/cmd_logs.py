"""Print a job's log."""

from __future__ import annotations

from typing import Annotated

import typer

from backends.worker_protocol import directive
from renderer import api
from renderer.cli.options import Handle, Json
from renderer.cli.output import print_json


def command(
    handle: Handle,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until the job has ended.")] = False,
    json: Json = False,
) -> None:
    """Print a job's log. If the job has several units, each line begins with the unit's name.

    With --json, each line is an object; progress lines (openjd_…) are included.
    """
    job = api.open_job(handle)
    names = [unit.name for unit in job.status().units]
    for line in job.logs(follow=follow):
        if json:
            print_json({"unit": names[line.unit], "text": line.text})
        elif directive(line.text) is None:
            print(f"{names[line.unit]} | {line.text}" if len(names) > 1 else line.text, flush=follow)
