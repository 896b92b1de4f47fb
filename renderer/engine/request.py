"""What the worker asks of the engine, and what it gets back. Imports nothing of Manim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from renderer.engine.cache.store import SegmentCache


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
    settings: RenderSettings = RenderSettings()
    encoder: EncoderSettings = EncoderSettings()
    choice: EncoderChoice | None = None
    part_frames: int | None = None
    frame_hashes: Path | None = None
    cache: SegmentCache | None = None


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
