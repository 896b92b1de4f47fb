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
        print_json([status_json(status, summary=True) for status in found])
        return
    lines = [("HANDLE", "STATE", "UNITS", "CREATED")]
    for status in found:
        created = status.created.astimezone().strftime("%Y-%m-%d %H:%M") if status.created else ""
        counts = status.counts
        lines.append((str(status.handle), status.state.value, f"{counts.ended}/{counts.total}", created))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for handle, state, units, created in lines if len(lines) > 1 else ():
        print(f"{handle:<{widths[0]}}  {state:<{widths[1]}}  {units:<{widths[2]}}  {created}".rstrip())
