"""What the worker asks of the engine, and what it gets back. Imports nothing of Manim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from renderer.engine.cache.store import ChunkCache
from renderer.model import EncoderChoice, EncoderSettings, RenderSettings


@dataclass(frozen=True, kw_only=True)
class SceneRequest:
    """One scene of one file. ``scratch`` is an empty folder for everything that is not an output.

    ``choice`` is the video encoder to use; None leaves it to the engine, which goes by ``encoder.preset``.
    ``part_frames`` is the most frames that one painter gets; None leaves it to the preset.
    ``frame_hashes`` is an empty folder that gets a hash of every frame before it is encoded, for comparing renders:
    a file for each part of each play, which in the order of their names give the frames in order.
    ``cache`` keeps what is painted for later renders, and is not looked at where frames are to be hashed.
    """

    file: Path
    scene: str
    output: Path
    scratch: Path
    settings: RenderSettings = field(default_factory=RenderSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    choice: EncoderChoice | None = None
    part_frames: int | None = None
    frame_hashes: Path | None = None
    cache: ChunkCache | None = None


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """What was rendered: ``outputs`` are paths relative to the request's ``output``; ``why_serial`` is a sentence.

    Of the ``frames``, ``cached`` were found painted.
    """

    outputs: tuple[Path, ...]
    frames: int
    cached: int = 0
    renderer: str
    mode: Literal["parallel", "serial"]
    why_serial: str | None = None
    encoder: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
