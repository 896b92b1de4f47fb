"""List jobs."""

from __future__ import annotations

from renderer import api, config
from renderer.cli.options import BackendName, Context, Json, Namespace
from renderer.cli.output import print_json, status_json


def command(
    backend: BackendName = None,
    context: Context = None,
    namespace: Namespace = None,
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
