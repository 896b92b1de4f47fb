"""The document that tells the worker what to render. Travels as JSON inside JobSpec.task."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from backends.errors import InputError
from renderer.engine.request import EncoderSettings, RenderSettings

Kind = Literal["manim", "script"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """``file`` is relative to the bundle's root; ``units`` are scenes, or the script's name; ``timeout`` in seconds."""

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
    def from_json(cls, text: str | bytes) -> Task:
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
