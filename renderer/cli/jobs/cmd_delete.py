"""Remove jobs."""

from __future__ import annotations

from renderer import api
from renderer.cli.jobs.batch import for_each_job
from renderer.cli.options import Handles, Json
from renderer.cli.output import print_json


def command(handles: Handles, json: Json = False) -> None:
    """Remove jobs and all that they stored; a running job is cancelled first. Downloaded files stay."""

    def delete(job: api.Job) -> None:
        job.delete()
        if not json:
            print(f"{job.handle}  deleted")

    for_each_job(handles, delete)
    if json:
        print_json({"deleted": handles})
