"""Run what failed of a job again."""

from __future__ import annotations

import os
from pathlib import Path

from renderer import api
from renderer.cli.options import Detach, DryRun, Handle, Json
from renderer.cli.render.cmd_submit import run_planned
from renderer.cli.setting_options import Flags, takes_settings
from renderer.maps import requests


@takes_settings
def command(
    handle: Handle,
    detach: Detach = False,
    dry_run: DryRun = False,
    json: Json = False,
    *,
    flags: Flags,
) -> int:
    """Run the scenes or inputs of a job that failed or were cancelled again, as a new job with the same options.

    The file is taken as it is now, so that a mistake can be mended first. Options that are given here win. Results go
    to the same folder; of a map, results.jsonl keeps the lines of the inputs that are not run again.
    """
    job = api.open_job(handle)
    if (request := requests.find(job.handle)) and request.folder.is_dir() and request.folder != Path.cwd():
        os.chdir(request.folder)  # where --output was meant
    planned = api.plan_retry(job, flags, source="flag", foreground=not detach)
    return run_planned(planned, detach=detach, dry_run=dry_run, json=json)
