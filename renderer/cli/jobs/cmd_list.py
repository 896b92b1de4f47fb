"""List jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from renderer import api, config
from renderer.cli.options import Json
from renderer.cli.output import print_json, status_json


def command(
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", help="Whose jobs; default: the configured backend.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="k8s: context of the kubeconfig.", show_default=False)] = None,
    namespace: Annotated[str | None, typer.Option(help="k8s: namespace.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """List the jobs that a backend knows, newest first."""
    flags = {"backend": backend, "k8s.context": context, "k8s.namespace": namespace}
    found = api.jobs(settings=config.load(flags).settings)
    if json:
        print_json([status_json(status) for status in found])
        return
    for status in found:
        created = status.created.astimezone().strftime("%Y-%m-%d %H:%M") if status.created else ""
        done = sum(unit.state.terminal for unit in status.units)
        print(f"{status.handle}  {status.state:<9}  {done}/{len(status.units)}  {created}")
