"""The document that tells the worker what to render. Travels as JSON inside JobSpec.task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter, ValidationError

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
        return _ADAPTER.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Task:
        """Read it. Raises InputError for anything else."""
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            raise InputError(
                "the task is not one that this version understands", hint="use the same renderer version on both sides"
            ) from error


_ADAPTER = TypeAdapter(Task)
