"""Print a job's log."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from backends.untrusted import show_text
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

    On a terminal, control characters are shown as escapes; into a file or a pipe, lines go as they are. With --json,
    each line is an object; progress lines (openjd_…) are included.
    """
    job = api.open_job(handle)
    show = show_text if sys.stdout and sys.stdout.isatty() else str
    names = [unit.name for unit in job.status().units]
    for line in job.logs(follow=follow):
        if json:
            print_json({"unit": names[line.unit], "text": line.text})
        elif directive(line.text) is None:
            print(show(f"{names[line.unit]} | {line.text}" if len(names) > 1 else line.text), flush=follow)
