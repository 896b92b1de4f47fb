"""Remove what old jobs left behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import typer

from backends.untrusted import show_line
from renderer import api, config
from renderer.cli.options import Json
from renderer.cli.output import print_json

DAY = timedelta(days=1)


def command(
    backend: Annotated[
        Literal["local", "docker", "k8s", "modal"],
        typer.Option("--backend", "-b", help="Backend to clean up; k8s: stores of jobs that it has deleted."),
    ],
    days: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="DAYS",
            help="Remove what was not used for so many days; inputs at Modal stay at least 30 days.",
        ),
    ] = 30.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed, without removing it.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove outputs and inputs that nothing has used for a long time. Running jobs keep theirs."""
    settings = config.load({"backend": backend}).settings
    garbage = api.open_backend(backend, settings).collect_garbage(older_than=days * DAY, dry_run=dry_run)
    found = list(garbage)
    removed = [item for item in found if item.removed]
    if json:
        print_json({"removed": [item.path for item in removed], "old": [item.path for item in found]})
        return
    shown = found if dry_run else removed
    for item in shown:
        print(f"{show_line(item.path)}  {item.size / 2**20:.1f} MiB  {item.age / DAY:.0f} d")
    size = sum(item.size for item in shown) / 2**20
    print(f"{len(shown)} old, {size:.1f} MiB {'would be removed' if dry_run else 'removed'}")
