"""The request that the worker passes to the engine, and the report that it gets back. Does not import Manim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from backends.chunk_store import ChunkStore
from renderer.engine.cache.interface import Cache
from renderer.model import EncoderChoice, EncoderSettings, RenderSettings

Progress = Callable[[int, int | None], None]  # frames that are done, and all frames once their number is known
MAX_PLAY_REPORTS = 100


@dataclass(frozen=True)
class ShardPlace:
    """The place of a process among the ``count`` shards of a scene, from 0. They meet in the ``store`` of their job.

    ``joins`` says whether this process joins the clips of all, where a store cannot decide which shard is the last one;
    the process that joins them starts when all shards have ended, in the place of one of them.
    """

    index: int
    count: int
    store: ChunkStore
    joins: bool | None = None


@dataclass(frozen=True, kw_only=True)
class SceneRequest:
    """One scene to render. ``scratch`` is an empty folder for everything that is not an output.

    ``choice`` is the video encoder to use; None means the one of ``encoder.preset``. ``chunk_frames`` is the largest
    number of frames in a chunk; None leaves it to the preset. ``frame_hashes`` is an empty folder for hashes of all
    frames before they are encoded, to compare renders. It gets a file for each chunk, and the order of their
    names is that of the frames. ``cache`` keeps encoded chunks for later renders; it is not used with ``frame_hashes``.
    ``restore`` makes the current folder as it was before the render, for another attempt. ``changed`` is a folder for
    the video of the first play that was drawn, which is there as soon as that is complete.
    With ``shard``, several processes render the scene together: this one draws its share.
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
    cache: Cache | None = None
    restore: Callable[[], None] | None = None
    changed: Path | None = None
    shard: ShardPlace | None = None


@dataclass(frozen=True, kw_only=True)
class PlayReport:
    """How one play was rendered; ``render.plays`` in ``result.json`` has these fields.

    ``number`` counts the scene's plays from 0; ``start_s`` is where the play begins in the video, in seconds.
    Of the ``frames``, ``cached`` come from the chunk cache. ``source`` is "drawn", or, if the whole play was not drawn,
    "chunk cache" or "earlier attempt" (one that ended because a process was killed). ``chunks`` is the number of chunks
    that were drawn, each by one process; ``processes`` also counts the play's encoder. ``draw_s`` and ``encode_s`` are
    sums of wall time over the processes, so that they may be larger than the time of the render.
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
    """What was rendered: ``outputs`` are paths relative to the request's ``output``.

    ``why_serial`` is a clause, which also says how many plays were rendered in parallel before it came to that.

    Of the ``frames``, ``cached`` come from the chunk cache. ``plays`` has at most 100 plays, in the scene's order; if
    there are more, those that took longest. It is empty with ``why_serial``, and does not have plays that Manim skips.
    ``seed`` is that of random numbers, if there is one. ``shards`` says how shards rendered the scene; a shard that did
    not join them has no ``outputs``.
    """

    outputs: tuple[Path, ...]
    frames: int
    cached: int = 0
    renderer: str
    mode: Literal["parallel", "serial"]
    why_serial: str | None = None
    plays: tuple[PlayReport, ...] = ()
    seed: int | None = None
    shards: Mapping[str, object] | None = None
    encoder: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


def select_slowest(plays: list[PlayReport]) -> tuple[PlayReport, ...]:
    """Return the plays for the report, in order: at most 100, so that result.json stays small."""
    slowest = sorted(plays, key=lambda play: play.draw_s + play.encode_s, reverse=True)[:MAX_PLAY_REPORTS]
    return tuple(sorted(slowest, key=lambda play: play.number))
