"""Stop jobs."""

from __future__ import annotations

from renderer import api
from renderer.cli.jobs.each import for_each
from renderer.cli.options import Handles, Json
from renderer.cli.output import print_json


def command(handles: Handles, json: Json = False) -> None:
    """Stop jobs. Scenes that are done stay done; a job that has ended is left as it is."""
    states: dict[str, str] = {}

    def cancel(job: api.Job) -> None:
        job.cancel()
        states[str(job.handle)] = job.status().state.value
        if not json:
            print(f"{job.handle}  {states[str(job.handle)]}")

    for_each(handles, cancel)
    if json:
        print_json(states)
