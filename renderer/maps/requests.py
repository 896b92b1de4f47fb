"""What was submitted, kept on this machine by the job's handle, so that a part of it can be submitted again.

Values of environment variables are not kept: they may be secrets.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends import JobHandle
from backends.errors import SpecError
from backends.files import state_folder
from backends.untrusted.state_files import read_state, write_state
from renderer.config import GIVEN, Config
from renderer.maps.inputs import MapInput
from renderer.model import PreviewRequest
from renderer.spec import RenderSpec

KEPT_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Request:
    """One submit: what to run, the settings that were given with it, in which folder, and the inputs of the job.

    ``variables`` are the names of the environment variables. ``earlier`` are the handles of jobs of which it ran a part
    again.
    """

    wanted: RenderSpec
    settings: Mapping[str, Any]
    variables: tuple[str, ...]
    folder: Path
    inputs: tuple[MapInput, ...]
    earlier: tuple[str, ...] = ()


def make_request(wanted: RenderSpec, config: Config, inputs: Sequence[MapInput], *, earlier: Sequence[str]) -> Request:
    """Return what a later process needs for the same submit, with all paths absolute but for that of the outputs."""
    given = {setting.key: setting.value for setting in config if setting.origin in GIVEN and setting.key != "env"}
    absolute = {key: value for key, value in given.items() if isinstance(value, Path) and key != "output"}
    if wanted.are_files:
        wanted = replace(
            wanted, inputs=tuple(replace(item, value=str(Path(item.value).absolute())) for item in wanted.inputs)
        )
    return Request(
        wanted=replace(wanted, path=wanted.path.absolute(), root=wanted.root and wanted.root.absolute()),
        settings=given | {key: value.absolute() for key, value in absolute.items()},
        variables=tuple(config.settings.env) if config.origins.get("env") in GIVEN else (),
        folder=Path.cwd(),
        inputs=tuple(inputs),
        earlier=tuple(earlier),
    )


def save(handle: JobHandle, request: Request) -> None:
    """Keep the request. If that does not work, only retry does not work later. Remove requests that are a month old."""
    preview = request.wanted.preview and vars(request.wanted.preview)
    wanted = vars(request.wanted) | {"inputs": [item.to_line() for item in request.wanted.inputs], "preview": preview}
    content = vars(request) | {"wanted": wanted, "inputs": [item.to_line() for item in request.inputs]}
    with suppress(OSError):
        file = _file(handle)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in file.parent.iterdir():
            if time.time() - other.lstat().st_mtime > KEPT_DAYS * 86400:
                other.unlink(missing_ok=True)
        write_state(file, json.dumps(content, default=str).encode())


def find(handle: JobHandle) -> Request | None:
    """Return the request of a job; None if it was submitted on another machine, or too long ago."""
    try:
        content = json.loads(read_state(_file(handle)))
        wanted = content["wanted"]
        paths = {"path": Path(wanted["path"]), "root": Path(wanted["root"]) if wanted["root"] else None}
        tuples = {key: tuple(wanted[key]) for key in ("scenes", "arguments")}
        preview = wanted["preview"] and PreviewRequest(
            **{key: tuple(value) for key, value in wanted["preview"].items()}
        )
        wanted |= {**paths, **tuples, "inputs": _read_lines(wanted["inputs"]), "preview": preview}
        return Request(
            wanted=RenderSpec(**wanted),
            settings=content["settings"],
            variables=tuple(content["variables"]),
            folder=Path(content["folder"]),
            inputs=_read_lines(content["inputs"]),
            earlier=tuple(content["earlier"]),
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def forget(handle: JobHandle) -> None:
    """Remove the request of a job that was deleted."""
    with suppress(OSError):
        _file(handle).unlink()


def select(request: Request, units: Sequence[int], names: Sequence[str]) -> RenderSpec:
    """Return what to run for these ``units`` of the job alone; ``names`` are those of all its units.

    Raises SpecError if the file of the job is not there any more.
    """
    wanted = request.wanted
    if not wanted.path.exists():
        raise SpecError(f"there is no file {wanted.path} any more", hint="submit the job again from where it is now")
    if wanted.inputs:
        return replace(wanted, inputs=tuple(wanted.inputs[unit] for unit in units))
    if wanted.scenes or wanted.every or len(names) > 1:
        return replace(wanted, scenes=tuple(names[unit] for unit in units), every=False)
    return wanted


def _read_lines(lines: Sequence[str]) -> tuple[MapInput, ...]:
    return tuple(map(MapInput.from_line, lines))


def _file(handle: JobHandle) -> Path:
    return state_folder("requests") / f"{hashlib.sha256(str(handle).encode()).hexdigest()}.json"
