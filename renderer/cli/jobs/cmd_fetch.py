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
    overwrite: Annotated[
        bool | None,
        typer.Option("--overwrite", help="Replace files that are not from an earlier job of the same scene."),
    ] = None,
    output_limit: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Most that is downloaded: 512Mi, 50Gi; default: the configured one."),
    ] = None,
    output_files: Annotated[
        str | None, typer.Option(metavar="N", help="Most files that are downloaded; default: the configured one.")
    ] = None,
    json: Json = False,
) -> None:
    """Download a job's outputs. Every file is verified before it gets its final name.

    A file that is not from an earlier job of the same scene, or that was changed since, stays as it is: the new one is
    then in a folder of its own beside it, and the exit code is 6.
    """
    flags = {"output": output, "overwrite": overwrite, "output_limit": output_limit, "output_files": output_files}
    settings = config.load(flags).settings
    job = api.open_job(handle, settings)
    files = job.fetch(settings.output, overwrite=settings.overwrite)
    if json:
        print_json([str(file.absolute()) for file in files])
        return
    for file in files:
        print(file)
    if not files:
        print(f"{job.handle} has no outputs; its state is {job.status().state}", file=sys.stderr)
