"""Download a job's outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from renderer import api, config
from renderer.cli.options import Handle, Json
from renderer.cli.output import print_json


def command(
    handle: Handle,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the files; default: the configured one."),
    ] = None,
    json: Json = False,
) -> None:
    """Download a job's outputs. Every file is verified before it gets its final name."""
    settings = config.load({"output": output}).settings
    job = api.open_job(handle, settings)
    files = job.fetch(settings.output)
    if json:
        print_json([str(file.absolute()) for file in files])
        return
    for file in files:
        print(file)
    if not files:
        print(f"{job.handle} has no outputs; its state is {job.status().state}", file=sys.stderr)
