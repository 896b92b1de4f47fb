"""Plans how a scene is rendered in parallel: the options, and how each play is divided into chunks."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from renderer.engine.adapter.play_key import compute_fingerprint, count_frames
from renderer.engine.cache.chunk_key import StoredKey
from renderer.engine.cache.entry import CacheEntry
from renderer.engine.cache.frame_digest import FrameDigester
from renderer.engine.cache.interface import Cache
from renderer.engine.cache.prediction import predict_keys
from renderer.engine.cache.versions import describe_versions
from renderer.engine.guards.pixel_access import released_pixels
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.frame_buffers import FrameBuffers, choose_chunk_length
from renderer.engine.parallel.play import (
    Chunk,
    ChunkedPlay,
    Play,
    PlayIdentity,
    RenderedPlay,
    SingleEncoderPlay,
    reuse_play,
)
from renderer.engine.parallel.shared_image import SharedImage
from renderer.engine.process.scene_process import SceneProcess
from renderer.engine.process.slots import ProcessSlots
from renderer.engine.request import Progress
from renderer.video.ffmpeg_encoder import FfmpegEncoder
from renderer.video.pyav_encoder import OpenEncoder, PyAVEncoder

_MAX_FREE = 6  # free slots that count

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ParallelOptions:
    """How to render one scene in parallel.

    ``process`` is the process that steps the scene. It uses at most ``limit`` of the ``slots``, which all scenes of a
    worker share. A chunk has at most ``max_chunk_frames`` frames; None means that a chunk is a whole play.

    With ``single_encoder``, one encoder per play joins the frames of all its chunks. Short plays are not divided then:
    those of up to ``whole_play_frames`` frames, or fewer if many slots are free. Without it, each chunk has its own
    encoder, and only a long play that would be one chunk is divided for a single encoder.

    ``frame_hashes`` is a folder for a hash of each frame. ``open_encoder`` opens the encoder of a chunk. ``rendered``
    are the plays, by number, that an earlier attempt rendered. With ``group_plays``, one process may draw several short
    plays. ``changed`` is a folder for the video of the first play that was drawn. ``unpredicted`` are the numbers of
    plays whose key in the chunk cache is not predicted; None stands for all. With ``with_keys``, Manim's keys of
    predicted plays are computed as well. From the play ``first_serial`` on, the stepping process draws itself. With
    ``leap``, frames that nothing depends on are left out.
    """

    process: SceneProcess
    slots: ProcessSlots
    limit: int
    max_chunk_frames: int | None
    single_encoder: bool = False
    whole_play_frames: int = 0
    progress: Progress | None = None
    frame_hashes: Path | None = None
    open_encoder: OpenEncoder = PyAVEncoder
    cache: Cache | None = None
    group_plays: bool = True
    rendered: Mapping[int, RenderedPlay] = field(default_factory=dict)
    changed: Path | None = None
    unpredicted: Collection[int] | None = ()
    with_keys: bool = False
    first_serial: int | None = None
    leap: bool = True


class PlayPlanner:
    """Decides, before each play of one scene begins, which processes draw it. Manim has compiled the play by then."""

    def __init__(self, scene: Scene, options: ParallelOptions) -> None:
        self._scene, self._options = scene, options
        self._digester = FrameDigester(scene.renderer.camera)
        self._cache_settings = ""
        if options.cache:
            versions = describe_versions(with_ffmpeg=options.open_encoder is FfmpegEncoder)
            self._cache_settings = repr((versions, scene.session_spec.video_encoder))

    def plan_play(self, identity: PlayIdentity) -> Play:
        """Return the scene's next play, divided into chunks; a play that an earlier attempt rendered is reused.

        The keys that its chunks probably have in the chunk cache are predicted.
        """
        frames, start = count_frames(self._scene), self._scene.renderer.time
        rendered = self._options.rendered.get(identity.number)
        if rendered and rendered.fingerprint == identity.fingerprint:
            return reuse_play(identity, start, frames, rendered, "earlier attempt")
        buffers, max_frames = None, self._options.max_chunk_frames or frames
        if (self._options.single_encoder or frames <= max_frames) and self._is_long(frames):
            buffers, max_frames = self._make_buffers(frames)
        chunks = self._make_chunks(identity, divide_frames(frames, max_frames), one_file=buffers is not None)
        image = self._make_shared_image() if len(chunks) > 1 else None
        _log.debug(
            "play %d: at most %d frames from %.3f s, chunks: %d%s",
            *(identity.number, frames, start, len(chunks), " for one encoder" if buffers else ""),
        )
        if buffers:
            return SingleEncoderPlay(identity=identity, start=start, chunks=chunks, static_image=image, buffers=buffers)
        self._predict(chunks)
        return ChunkedPlay(identity=identity, start=start, chunks=chunks, static_image=image)

    def plan_undivided(self, identity: PlayIdentity) -> ChunkedPlay:
        """Return the scene's next play as one chunk, which the stepping process has decided.

        To decide it again would depend on the slots that are free by now.
        """
        chunks = self._make_chunks(identity, [(0, count_frames(self._scene))], one_file=False)
        return ChunkedPlay(identity=identity, start=self._scene.renderer.time, chunks=chunks)

    def make_cache_entry(self, target: Path, prediction: StoredKey | None = None) -> CacheEntry | None:
        """Return the entry of the chunk cache for a file; None without a cache."""
        cache = self._options.cache
        if not cache:
            return None
        self._digester.check_classes()
        return CacheEntry(self._scene, self._digester, cache, self._cache_settings, target, prediction)

    def digest_static_image(self) -> bytes | None:
        """Return the digest of what stands still during the play; None if it is not known."""
        with released_pixels(self._scene.renderer.camera):
            return self._digester.digest(self._scene.static_mobjects, on_background=True)

    def _predict(self, chunks: list[Chunk]) -> None:
        """Find out where the chunk cache keeps the keys that the chunks probably have."""
        if self._options.cache:
            ranges = [(chunk.first, chunk.last) for chunk in chunks]
            self._digester.check_classes()
            with released_pixels(self._scene.renderer.camera):
                predictions = predict_keys(self._scene, self._digester, self._cache_settings, ranges)
            for chunk, prediction in zip(chunks, predictions or (), strict=False):
                chunk.prediction = prediction

    def _is_long(self, frames: int) -> bool:
        """Return whether the play has enough frames to divide it. With more free slots, fewer frames are enough."""
        if frames <= self._options.whole_play_frames * 2 / _MAX_FREE:
            return False
        free = self._options.slots.count_free(self._options.limit)
        return frames > self._options.whole_play_frames * 2 / min(max(2, free), _MAX_FREE)

    def _make_buffers(self, frames: int) -> tuple[FrameBuffers | None, int]:
        """Return the buffers of a single encoder and the length of a chunk; no buffers if one chunk is enough."""
        spec, limit = self._scene.session_spec.video_encoder, self._options.limit
        assert spec  # noqa: S101  # for the type checker: a video is made
        length = choose_chunk_length(spec, frames, limit) or frames
        length = min(self._options.max_chunk_frames or frames, length)
        if length == frames:
            return None, frames
        count = min(limit + 1, -(-frames // length))
        return FrameBuffers(spec, length, count, self._options.process.create_pipe()), length

    def _make_shared_image(self) -> SharedImage:
        camera = self._scene.renderer.camera
        return SharedImage((camera.pixel_height, camera.pixel_width, 4), self._options.process.create_pipe())

    def _make_chunks(self, identity: PlayIdentity, ranges: list[tuple[int, int]], *, one_file: bool) -> list[Chunk]:
        folder, chunks = self._options.frame_hashes, []
        for old in folder.glob(f"{identity.name}-*") if folder else ():
            old.unlink()  # an earlier attempt may have had other chunks
        for index, (first, last) in enumerate(ranges):
            name = f"{identity.name}-{index:03}"
            path = identity.path if one_file else identity.path.with_stem(name)
            final = index == len(ranges) - 1
            chunks.append(Chunk(index, first, last, path, final=final, hashes=folder / name if folder else None))
        return chunks


def identify_play(scene: Scene) -> PlayIdentity:
    """Return the identity of the scene's next play, with a fingerprint if Manim's caching is on."""
    from manim import config

    number = scene.renderer.num_plays
    name = f"{number:05}"
    fingerprint = () if config["disable_caching"] else compute_fingerprint(scene)
    return PlayIdentity(number, name, scene.output_plan.segment_path(f"{name}-000"), fingerprint)


def divide_frames(frames: int, longest: int) -> list[tuple[int, int]]:
    """Return the first and the last frame (exclusive) of equal chunks of at most ``longest`` frames.

    Their number is even where there are several, so that two cores end at the same time. It does not depend on the
    number of cores: the same chunks give the same bytes on every machine.
    """
    pieces = max(1, -(-frames // longest))
    if pieces > 1:
        pieces = min(pieces + pieces % 2, frames)
    edges = [frames * piece // pieces for piece in range(pieces + 1)]
    return list(pairwise(edges))
