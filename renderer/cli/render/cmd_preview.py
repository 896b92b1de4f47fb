"""Show what scenes will look like: contact sheets, timelines and warnings, or single frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer

from backends import JobStatus
from backends.errors import SpecError
from backends.exit_codes import ExitCode
from backends.option_types import parse_duration
from backends.untrusted import show_line
from renderer import config, fetch
from renderer.cli.options import Json, takes_render
from renderer.cli.output import print_json, print_message, show_job_text, status_lines
from renderer.cli.preview import open_films
from renderer.cli.setting_options import Flags, refuse_webhook, takes_settings
from renderer.cli.status_display import StatusDisplay
from renderer.model import PreviewRequest
from renderer.previews import previewing
from renderer.spec import RenderSpec

MOST_WARNINGS = 20  # that are printed

At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="TIME", help="The frame at this time of the film: 3.2s; may be repeated."),
]
Play = Annotated[
    list[int] | None,
    typer.Option("--play", metavar="N", min=0, help="The last frame of play N, counted from 0; may be repeated."),
]


@takes_settings
@takes_render
def command(
    at: At = None,
    play: Play = None,
    json: Json = False,
    *,
    wanted: RenderSpec,
    flags: Flags,
) -> int:
    """Show what scenes will look like, without rendering them.

    renderer preview scene.py MyScene

    Makes a contact sheet with the last frame of each play, and a JSON file with the timeline and warnings. With --at or
    --play, makes single frames as the film shows them.
    """
    request = PreviewRequest(tuple(map(_read_time, at or ())), tuple(play or ()))
    refuse_webhook(flags)
    loaded = config.load(flags)
    planned = previewing.plan(replace(wanted, preview=request), loaded)
    settings = loaded.settings
    fetch.check_writable(settings.output)
    for note in () if json else (*planned.prepared.notes, *planned.plan.notes):
        print_message(f"note: {show_line(note)}")
    try:
        with StatusDisplay(quiet=json) as display:

            def show(status: JobStatus) -> None:
                if not _is_refused(status):
                    display.show(status)

            found = previewing.run(planned, settings.output, on_status=show)
    except previewing.PreviewFailedError as error:
        if json:
            raise
        print_message("\n".join(status_lines(error.status)))
        return error.exit_code
    if json:
        print_json([_to_json(item) for item in found])
        return ExitCode.OK
    for item in found:
        _print(item)
    if settings.preview and not settings.untrusted:
        open_films([image for item in found for image in item.images], settings.output, settings.preview_command)
    return ExitCode.OK


def _is_refused(status: JobStatus) -> bool:
    """Return whether the scene has not the frames that were asked for, which a sentence says better than a state."""
    return any(unit.exit_code == ExitCode.USAGE for unit in status.units)


def _read_time(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise SpecError(f"--at cannot be {show_line(text)!r}: {error}", hint="write a time as 3.2s or 1m5s") from error
    return seconds


def _to_json(item: previewing.Preview) -> Mapping[str, object]:
    return {
        **item.timeline,
        "file": str(item.file.absolute()),
        "images": [str(image.absolute()) for image in item.images],
    }


def _print(item: previewing.Preview) -> None:
    print_message(show_line(previewing.summarize(item)))
    warnings = previewing.describe_warnings(item)
    for warning in warnings[:MOST_WARNINGS]:
        print_message(show_job_text(warning))
    if len(warnings) > MOST_WARNINGS:
        print_message(f"and {len(warnings) - MOST_WARNINGS} more warnings, in {show_line(str(item.file))}")
    for file in (*item.images, item.file):
        print(show_line(str(file)))
