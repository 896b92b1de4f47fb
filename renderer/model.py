"""The JSON document that the client sends to the worker: what to render, and how. Imports nothing slow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from backends.debug_log import LogLevel
from backends.errors import InputError

UNITS_FILE = ".renderer-units.json"  # in the bundle: the names of the units, where there are many
Kind = Literal["manim", "script"]
Quality = Literal["l", "m", "h", "p", "k"]
FileFormat = Literal["mp4", "webm", "mov", "gif", "png", "png-sequence"]  # png is the last frame, as with `manim -s`
RendererName = Literal["cairo", "opengl"]
EncoderPreset = Literal["fast", "manim"]


@dataclass(frozen=True)
class RenderSettings:
    """Manim's own settings. ``None`` leaves the choice to manim.cfg in the scene's folder and to Manim's defaults.

    ``resolution`` is width and height in pixels, ``fps`` frames per second. ``manim_options`` are further arguments of
    `manim render`; the JSON has them only if there are any. Settings has fields of the same names.
    """

    quality: Quality | None = None
    resolution: tuple[int, int] | None = None
    fps: float | None = None
    format: FileFormat | None = None
    transparent: bool = False
    renderer: RendererName | None = None
    manim_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class EncoderSettings:
    """How to encode the video: an encoder's name from renderer.video.catalog, and a preset for its settings."""

    encoder: str = "auto"
    preset: EncoderPreset = "fast"


@dataclass(frozen=True)
class PreviewRequest:
    """What a preview shows: frames at times of the film (``at``, in seconds) and the last frames of ``plays``.

    Plays are counted from 0. Without both, the preview is a contact sheet with the last frames of all plays.
    """

    at: tuple[float, ...] = ()
    plays: tuple[int, ...] = ()


@dataclass(frozen=True)
class EncoderChoice:
    """The encoder that a worker has chosen. ``codec`` and ``pixel_format`` are FFmpeg's names, ``auto`` is Manim's own.

    ``options`` are FFmpeg's private options of the codec. ``via`` is what runs it: PyAV in the process, or the ffmpeg
    program. One thread encodes each segment, so that the same frames give the same bytes on any machine.
    """

    codec: str = "auto"
    pixel_format: str = "auto"
    options: Mapping[str, str] = field(default_factory=dict)
    via: Literal["pyav", "ffmpeg"] = "pyav"


@dataclass(frozen=True)
class WorkerPayload:
    """The job as the worker reads it: the JSON in ``JobSpec.payload``.

    ``file`` is relative to the bundle's root. ``units`` are names of scenes, or the script's name. ``bundle`` is the
    bundle's digest. ``timeout`` is in seconds, for each attempt of a unit. ``log`` is the level of the worker's log
    lines. ``output_limit`` (bytes) and ``output_files`` bound the outputs of a unit, by default as
    backends.untrusted.Limits does. ``python_path`` are folders of PYTHONPATH, relative to the bundle's root. A map has
    as many units as ``inputs``, which are in the bundle; ``units`` then holds the one scene or script that all units
    run. If their names are many, ``units`` is empty, and the bundle has ``units_in_bundle`` of them in UNITS_FILE.
    ``side_by_side`` is how many of them run at the same time at most. ``packages`` are lines of a requirements
    file; ``requires_python`` is what the script asks of its Python (PEP 440).

    With ``preview`` the worker makes that instead of videos. With ``poster`` it makes an image beside each video, and
    with ``shows_changed`` also a video of the first play that is not in the chunk cache. With ``shards``
    there are as many units, which render the one scene together. ``links`` are symbolic links that lead out of the
    project, as names and absolute targets; only jobs that run as the user on this machine have them.

    The JSON has all but the first fields only where they are set, so that they do not change the names of other jobs.
    """

    kind: Kind
    file: str
    units: tuple[str, ...]
    bundle: str
    timeout: float
    arguments: tuple[str, ...] = ()
    settings: RenderSettings = field(default_factory=RenderSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    schema: Literal[1] = 1
    log: LogLevel | None = None
    output_limit: int | None = None
    output_files: int | None = None
    python_path: tuple[str, ...] = ()
    inputs: int | None = None
    side_by_side: int | None = None
    packages: tuple[str, ...] = ()
    requires_python: str | None = None
    preview: PreviewRequest | None = None
    poster: bool = False
    shows_changed: bool = False
    units_in_bundle: int | None = None
    shards: int | None = None
    links: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        """The number of units."""
        return self.shards or self.inputs or self.units_in_bundle or len(self.units)

    def to_json(self) -> str:
        """Return the JSON document; equal payloads give equal text."""
        content = asdict(self)
        rare = ("log", "output_limit", "output_files", "python_path", "inputs", "side_by_side", "packages", "links")
        for key in (*rare, "requires_python", "units_in_bundle", "shards"):
            if content[key] in {None, ()}:
                del content[key]
        for key in ("preview", "poster", "shows_changed"):
            if not content[key]:
                del content[key]
        if not content["settings"]["manim_options"]:
            del content["settings"]["manim_options"]
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> WorkerPayload:
        """Read the JSON document. Raises InputError if another version of renderer wrote it."""
        try:
            content: dict[str, Any] = json.loads(text)
            for key in ("units", "arguments", "python_path", "packages"):
                content[key] = tuple(content.get(key, ()))
            content["links"] = tuple(map(tuple, content.get("links", ())))
            settings = content["settings"]
            settings["resolution"] = settings["resolution"] and tuple(settings["resolution"])
            settings["manim_options"] = tuple(settings.get("manim_options", ()))
            content["settings"] = RenderSettings(**settings)
            if preview := content.get("preview"):
                content["preview"] = PreviewRequest(tuple(preview["at"]), tuple(preview["plays"]))
            content["encoder"] = EncoderSettings(**content["encoder"])
            return cls(**content)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                "the worker cannot read the job: another version of renderer wrote it",
                hint="use the same version of renderer on both sides",
            ) from error
