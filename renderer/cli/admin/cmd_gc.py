"""Remove what old jobs left behind, and old entries of a shared cache."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal

import typer

from backends.cache.garbage import collect_garbage
from backends.cache.location import check_cache_uri
from backends.errors import SpecError
from backends.models import Garbage
from backends.option_types import parse_size
from backends.untrusted import show_line
from renderer import api, config, voice_store
from renderer.cli.options import Json
from renderer.cli.output import print_json
from renderer.serve import records

DAY = timedelta(days=1)


def command(
    backend: Annotated[
        Literal["local", "docker", "k8s", "modal"] | None,
        typer.Option(
            "--backend",
            "-b",
            help="Backend to clean up; k8s: stores of deleted jobs, and kept packages, in all namespaces.",
        ),
    ] = None,
    cache: Annotated[
        str | None, typer.Option("--cache", metavar="URI", help="Shared cache to clean up, instead of a backend.")
    ] = None,
    cache_size: Annotated[
        str,
        typer.Option("--cache-size", metavar="SIZE", help="Largest size of that cache; the oldest entries go first."),
    ] = "20Gi",
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
    """Remove outputs and inputs that nothing has used for a long time, or old entries of a shared cache.

    Running jobs keep theirs. --backend local also removes voices of projects without new jobs, and --backend k8s
    records of jobs of `renderer serve` in the store of your settings.
    """
    found = list(_collect(backend, cache, cache_size, days * DAY, dry_run=dry_run))
    removed = [item for item in found if item.removed]
    if json:
        print_json({"removed": [item.path for item in removed], "old": [item.path for item in found]})
        return
    shown = found if dry_run else removed
    for item in [] if cache else shown:  # a cache has thousands
        print(f"{show_line(item.path)}  {item.size / 2**20:.1f} MiB  {item.age / DAY:.0f} d")
    size = sum(item.size for item in shown) / 2**20
    print(f"{len(shown)} old, {size:.1f} MiB {'would be removed' if dry_run else 'removed'}")


def _collect(
    backend: str | None, cache: str | None, cache_size: str, older_than: timedelta, *, dry_run: bool
) -> Iterator[Garbage]:
    if cache is not None and backend is None:
        try:
            limit = parse_size(cache_size) * 2**20
        except ValueError as error:
            raise SpecError(f"--cache-size cannot be {cache_size!r}: {error}", hint="20Gi, for example") from error
        uri = check_cache_uri(cache, "k8s" if cache.startswith("pvc:") else "local")
        return collect_garbage(uri, older_than=older_than, max_bytes=limit, dry_run=dry_run)
    if backend is None or cache is not None:
        raise SpecError("`renderer gc` needs either --backend or --cache", hint="`renderer gc --help` shows both")
    settings = config.load({"backend": backend}).settings
    found = api.open_backend(backend, settings).collect_garbage(older_than=older_than, dry_run=dry_run)
    if backend == "local":
        return itertools.chain(found, voice_store.collect_garbage(older_than=older_than, dry_run=dry_run))
    if backend == "k8s":
        return itertools.chain(found, records.collect_garbage(settings.store, older_than=older_than, dry_run=dry_run))
    return found
