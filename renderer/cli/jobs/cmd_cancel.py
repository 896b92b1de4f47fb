"""Stop jobs."""

from __future__ import annotations

from renderer import api
from renderer.cli.jobs.batch import for_each_job
from renderer.cli.options import Handles, Json
from renderer.cli.output import print_json


def command(handles: Handles, json: Json = False) -> None:
    """Stop jobs. Finished scenes keep their outputs; a job that has ended stays as it is."""
    states: dict[str, str] = {}

    def cancel(job: api.Job) -> None:
        job.cancel()
        states[str(job.handle)] = job.status().state.value
        if not json:
            print(f"{job.handle}  {states[str(job.handle)]}")

    for_each_job(handles, cancel)
    if json:
        print_json(states)
