"""What is to be rendered, and how: the document that the client sends to the worker. Imports nothing slow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from backends.errors import InputError

Kind = Literal["manim", "script"]


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """Manim's own settings. ``None`` leaves them to the scene folder's manim.cfg and to Manim's defaults."""

    quality: Literal["l", "m", "h", "p", "k"] | None = None
    resolution: tuple[int, int] | None = None  # width, height in pixels
    fps: float | None = None
    format: Literal["mp4", "webm", "mov", "gif", "png"] | None = None  # png is the last frame, as with `manim -s`
    transparent: bool = False
    renderer: Literal["cairo", "opengl"] | None = None


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """How frames become video."""

    encoder: str = "auto"
    preset: Literal["fast", "manim"] = "fast"


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """One video encoder, chosen. ``auto`` is Manim's own for the container; ``via`` is the program that runs it.

    ``options`` are FFmpeg's private options of the codec. Each segment is encoded by one thread, so that the same
    frames give the same bytes on any machine.
    """

    codec: str = "auto"
    pixel_format: str = "auto"
    options: Mapping[str, str] = field(default_factory=dict)
    via: Literal["pyav", "ffmpeg"] = "pyav"


@dataclass(frozen=True, kw_only=True)
class WorkerPayload:
    """The job as the worker reads it: JSON in ``JobSpec.payload``.

    ``file`` is relative to the bundle's root; ``units`` are scenes, or the script's name; ``timeout`` in seconds.
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

    def to_json(self) -> str:
        """Write it as JSON; the same task gives the same text."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> WorkerPayload:
        """Read it. Raises InputError for anything that this version did not write."""
        try:
            content: dict[str, Any] = json.loads(text)
            for key in ("units", "arguments"):
                content[key] = tuple(content[key])
            settings = content["settings"]
            settings["resolution"] = settings["resolution"] and tuple(settings["resolution"])
            content |= {"settings": RenderSettings(**settings), "encoder": EncoderSettings(**content["encoder"])}
            return cls(**content)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                "the task is not one that this version understands", hint="use the same renderer version on both sides"
            ) from error
