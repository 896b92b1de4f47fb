"""Remove jobs."""

from __future__ import annotations

from renderer import api
from renderer.cli.options import Handles, Json
from renderer.cli.output import print_json


def command(handles: Handles, json: Json = False) -> None:
    """Remove jobs and all that they stored; one that runs is cancelled first. Files that were fetched stay."""
    for handle in handles:
        job = api.open_job(handle)
        job.delete()
        if not json:
            print(f"{job.handle}  deleted")
    if json:
        print_json({"deleted": handles})
