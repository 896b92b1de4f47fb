"""What the worker asks of the engine, and what it gets back. Imports nothing of Manim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from renderer.engine.cache.store import ChunkCache
from renderer.model import EncoderChoice, EncoderSettings, RenderSettings

Progress = Callable[[int, int | None], None]  # frames that are done, and all frames once their number is known
MAX_PLAY_REPORTS = 100


@dataclass(frozen=True, kw_only=True)
class SceneRequest:
    """One scene of one file. ``scratch`` is an empty folder for everything that is not an output.

    ``choice`` is the video encoder to use; None leaves it to the engine, which goes by ``encoder.preset``.
    ``chunk_frames`` is the most frames of a chunk; None leaves it to the preset.
    ``frame_hashes`` is an empty folder that gets a hash of every frame before it is encoded, for comparing renders:
    a file for each chunk of each play, which in the order of their names give the frames in order.
    ``cache`` keeps encoded chunks for later renders. It is not used where frames are hashed.
    """

    file: Path
    scene: str
    output: Path
    scratch: Path
    settings: RenderSettings = field(default_factory=RenderSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    choice: EncoderChoice | None = None
    chunk_frames: int | None = None
    frame_hashes: Path | None = None
    cache: ChunkCache | None = None


@dataclass(frozen=True, kw_only=True)
class PlayReport:
    """How one play was rendered; ``render.plays`` in ``result.json`` has these fields.

    ``number`` counts the scene's plays from 0; ``start_s`` is where the play begins in the video, in seconds.
    Of the ``frames``, ``cached`` come from the chunk cache. ``source`` is "drawn", or where a whole play comes from:
    "chunk cache", or "earlier attempt", the one that ended when a process was killed. ``chunks`` were drawn by a
    process each; ``processes`` counts the play's encoder, too. ``draw_s`` and ``encode_s`` are seconds of wall time,
    added up over the processes, so that they may exceed the time that the render took.
    """

    number: int
    start_s: float
    frames: int
    cached: int
    source: Literal["drawn", "chunk cache", "earlier attempt"]
    chunks: int
    processes: int
    draw_s: float
    encode_s: float


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """What was rendered: ``outputs`` are paths relative to the request's ``output``; ``why_serial`` is a sentence.

    Of the ``frames``, ``cached`` were found in the chunk cache. ``plays`` has at most 100 plays: of more, those that
    took longest to draw and encode, in the scene's order. It is empty for a serial render, and has no play that Manim
    skips, or whose segment Manim uses again.
    """

    outputs: tuple[Path, ...]
    frames: int
    cached: int = 0
    renderer: str
    mode: Literal["parallel", "serial"]
    why_serial: str | None = None
    plays: tuple[PlayReport, ...] = ()
    encoder: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def select_slowest(plays: list[PlayReport]) -> tuple[PlayReport, ...]:
    """Return the plays that a report has, in order: at most 100, because result.json must stay small."""
    slowest = sorted(plays, key=lambda play: play.draw_s + play.encode_s, reverse=True)[:MAX_PLAY_REPORTS]
    return tuple(sorted(slowest, key=lambda play: play.number))
