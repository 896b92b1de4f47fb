"""Previews of scenes: contact sheets, timelines with warnings, and single frames, made by jobs as films are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends import JobState, JobStatus
from backends.errors import OutputError, RendererError, ResultError, SpecError
from backends.exit_codes import ExitCode
from backends.untrusted import open_beneath, read_bounded
from backends.untrusted.results import copy_json
from renderer import api, config
from renderer.model import PreviewRequest
from renderer.spec import RenderSpec

TIMELINE = ".preview.json"  # the end of the timeline's name
MAX_TIMELINE = 16 * 2**20  # bytes
MAX_DEPTH = 12  # of lists and objects in each other
MAX_WARNING = 1000  # characters


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The preview of one scene. ``images`` are the contact sheet, or the frames that were asked for.

    ``timeline`` is the content of ``file``: what docs/how-to/preview.md describes. It comes from the job.
    """

    scene: str
    images: Sequence[Path]
    file: Path
    timeline: Mapping[str, Any]


class PreviewFailedError(RendererError):
    """The job of a preview failed. ``status`` is how it ended."""

    def __init__(self, status: JobStatus) -> None:
        unit = next((unit for unit in status.units if unit.state is not JobState.SUCCEEDED), None)
        message = unit.message if unit and unit.message else status.reason or f"the preview {status.state}"
        details = f"\n{unit.details}" if unit and unit.details else ""
        advice = unit.hint if unit and not unit.from_job else None
        quote = f"\nthe job says: {unit.hint}" if unit and unit.hint and unit.from_job else ""
        super().__init__(message + details + quote, hint=advice or status.hint)
        self.status = status
        self.exit_code = ExitCode(status.exit_code) if status.exit_code else ExitCode.INTERNAL


def preview(
    path: str | Path,
    *scenes: str,
    at: Sequence[float] = (),
    plays: Sequence[int] = (),
    into: str | Path = "renders",
    all_scenes: bool = False,
    root: str | Path | None = None,
    **settings: Any,
) -> list[Preview]:
    """Make previews of scenes where they would be rendered, and download them into a folder; return one for each scene.

    ``at`` are times in seconds and ``plays`` numbers of plays whose last frames are wanted; without both, the preview
    is a contact sheet. ``settings`` are those of ``renderer.submit``. The job is deleted when its preview is there.

    Raises SpecError for a wrong request and PreviewFailedError if the scene fails.
    """
    wanted = RenderSpec(
        path=Path(path),
        scenes=scenes,
        every=all_scenes,
        root=None if root is None else Path(root),
        preview=PreviewRequest(tuple(at), tuple(plays)),
    )
    return run(plan(wanted, config.load(settings, source="argument")), Path(into))


def plan(wanted: RenderSpec, loaded: config.Config) -> api.PlannedJob:
    """Prepare the job of a preview. Raises SpecError for a wrong request."""
    planned = api.plan(replace(wanted, foreground=True), loaded)
    if planned.prepared.kind == "script":
        raise SpecError(f"{wanted.path.name} is a script, and only scenes have a preview", hint="name a scene of it")
    return planned


def run(
    planned: api.PlannedJob, into: Path, *, on_status: Callable[[JobStatus], object] | None = None
) -> list[Preview]:
    """Run the job of a preview and download what it made. The job is deleted then; one that failed is kept.

    Raises PreviewFailedError if the job failed, and SpecError for times and plays that the film does not have. If
    waiting is interrupted, the job is deleted.
    """
    job = planned.submit()
    try:
        status = job.wait(on_status=on_status)
        if status.state is not JobState.SUCCEEDED:
            if status.exit_code == ExitCode.USAGE:  # times and plays that the film does not have
                job.delete()
                raise describe_refusal(status)
            raise PreviewFailedError(status)
        files = job.fetch(into, overwrite=planned.loaded.settings.overwrite)
    except KeyboardInterrupt:
        job.delete()
        raise
    job.delete()
    return read_previews(files)


def describe_refusal(status: JobStatus) -> SpecError:
    """Return the error for a preview that a scene cannot have, which its job found out."""
    unit = next((unit for unit in status.units if unit.exit_code == ExitCode.USAGE), None)
    message = (unit and unit.message) or status.reason or "the preview is not possible"
    return SpecError(f"{message}: {unit.hint}" if unit and unit.from_job and unit.hint else message)


def read_previews(files: Iterable[Path]) -> list[Preview]:
    """Return the previews among the files that a job made. Raises ResultError for a timeline that is damaged."""
    made = list(files)
    found = []
    for file in made:
        if file.name.endswith(TIMELINE):
            timeline = _read_timeline(file)
            names = set(timeline["images"])
            images = [item for item in made if item.name in names and item.parent == file.parent]
            scene = file.name.removesuffix(TIMELINE)
            found.append(Preview(scene=scene, images=images, file=file, timeline=timeline))
    return found


def _read_timeline(file: Path) -> Mapping[str, Any]:
    try:
        with open_beneath(file.parent, file.name) as stream:
            content = copy_json(json.loads(read_bounded(stream, MAX_TIMELINE)), MAX_DEPTH)
    except (OSError, ValueError, RecursionError, OutputError) as error:
        raise ResultError(f"{file.name} is damaged: {error}", hint="make the preview again") from error
    if not isinstance(content, dict) or not _is_timeline(content):
        raise ResultError(f"{file.name} is damaged: it is no timeline", hint="make the preview again")
    return content


def _is_timeline(content: dict[str, Any]) -> bool:
    """Return whether what is shown of a timeline has the form that the worker writes."""
    for key in ("plays", "images", "warnings"):
        content.setdefault(key, [])
    return (
        _is_list(content["plays"], dict)
        and _is_list(content["images"], str)
        and _is_list(content["warnings"], dict)
        and isinstance(content.get("duration_s", 0), (int, float))
        and all(map(_is_warning, content["warnings"]))
    )


def _is_warning(item: dict[str, Any]) -> bool:
    source = item.get("source")
    has_source = source is None or (
        isinstance(source, dict) and isinstance(source.get("file"), str) and isinstance(source.get("line"), int)
    )
    return has_source and isinstance(item.get("message"), str) and _is_list(item.get("plays", []), int)


def _is_list(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def summarize(item: Preview) -> str:
    """Return the scene, its plays and its length in one line."""
    plays = item.timeline["plays"]
    return f"{item.scene}: {len(plays)} play{'' if len(plays) == 1 else 's'}, {item.timeline.get('duration_s')} s"


def describe_warnings(item: Preview) -> list[str]:
    """Return each warning in one line, with its line of code and its plays."""
    found = []
    for warning in item.timeline["warnings"]:
        source, plays = warning.get("source"), warning.get("plays", [])
        where = f"{source['file']}:{source['line']}: " if source else ""
        found.append(f"warning: {(where + warning['message'])[:MAX_WARNING]} (play {_join(plays)})")
    return found


def _join(plays: Sequence[int]) -> str:
    return ", ".join(map(str, plays)) if len(plays) <= 4 else f"{plays[0]} … {plays[-1]}"  # noqa: PLR2004
