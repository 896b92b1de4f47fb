"""Remove what old jobs left behind."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from backends.modal import gc
from backends.modal.backend import ModalBackend
from renderer import config
from renderer.cli.options import Json
from renderer.cli.output import print_json


def command(
    backend: Annotated[Literal["modal"], typer.Option("--backend", "-b", help="Where to tidy up.")],
    days: Annotated[float, typer.Option(min=0, help="Age from which outputs are old; of inputs at least 30.")] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name it, and remove nothing.")] = False,
    json: Json = False,
) -> None:
    """Remove outputs and inputs that have lain untouched for long. Jobs that run keep theirs."""
    place = ModalBackend(config.load({"backend": backend}).settings.modal)
    found = list(gc.find(place, days))
    removed = [] if dry_run else [item for item in found if gc.remove(place, item)]
    if json:
        print_json({"removed": [item.path for item in removed], "old": [item.path for item in found]})
        return
    told = found if dry_run else removed
    for item in told:
        print(f"{item.path}  {item.size / 2**20:.1f} MiB  {item.days:.0f} d")
    size = sum(item.size for item in told) / 2**20
    print(f"{len(told)} old, {size:.1f} MiB {'would go' if dry_run else 'removed'}")
