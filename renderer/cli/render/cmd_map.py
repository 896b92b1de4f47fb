"""Run a scene or a script once for each of many inputs, as one job."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from renderer.cli.options import Detach, DryRun, Json, takes_render
from renderer.cli.render.cmd_submit import run
from renderer.cli.setting_options import Flags, takes_settings
from renderer.maps import sources
from renderer.spec import RenderSpec


@takes_settings
@takes_render
def command(
    over: Annotated[
        str,
        typer.Option(
            "--over",
            metavar="INPUTS",
            help="A .jsonl, .json, .csv or text file, range:100, a pattern ('data/*.png'), or - for standard input.",
            show_default=False,
        ),
    ],
    max_failed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="End the job when more than N inputs have failed.", show_default=False),
    ] = None,
    detach: Detach = False,
    dry_run: DryRun = False,
    json: Json = False,
    *,
    wanted: RenderSpec,
    flags: Flags,
) -> int:
    """Run a scene or a script once for each input, as one job; results go to --output, each in INDEX-NAME.

    renderer map script.py --over inputs.jsonl

    renderer map scene.py MyScene --over range:100

    A script gets its input as arguments, after those that follow --, and as a JSON file (RENDERER_INPUT). A scene reads
    it with renderer.inputs(). The file results.jsonl has a line for each input: its state, exit code, files, seconds.
    """
    return run(add_inputs(wanted, over, max_failed), flags, detach=detach, dry_run=dry_run, json=json)


def add_inputs(wanted: RenderSpec, over: str, max_failed: int | None = None) -> RenderSpec:
    """Return the request as a map over the inputs. Raises SpecError."""
    return replace(wanted, inputs=sources.read_inputs(over), are_files=sources.is_pattern(over), max_failed=max_failed)
