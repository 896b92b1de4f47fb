"""Steps a scene as one of several shards: has only its share of the clips drawn, and joins all if it is the last."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from renderer.engine.abort import ClipsMissing, ShardEnded, ShardsDiffer, Stop
from renderer.engine.adapter.play_key import count_frames
from renderer.engine.adapter.state_digest import digest_state
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.plan import ParallelOptions, divide_frames
from renderer.engine.parallel.play import Chunk, ChunkedPlay, Play, PlayIdentity, RenderedPlay, SingleEncoderPlay
from renderer.engine.parallel.scheduler import Scheduler
from renderer.engine.shards.deal import Deal, PlayWeights
from renderer.engine.shards.exchange import ClipId, ShardExchange
from renderer.engine.shards.machine import describe_encoding, find_kernel
from renderer.engine.shards.report import Boundary, ShardReport, find_difference
from renderer.video.concat import Clip


@dataclass(frozen=True)
class _SteppedClip:
    """A clip that was stepped through. ``chunk`` is None for a play with one encoder, which is one clip."""

    place: ClipId
    chain: str
    play: Play
    chunk: Chunk | None

    @property
    def is_elsewhere(self) -> bool:
        return self.chunk is not None and self.chunk.elsewhere

    @property
    def is_complete(self) -> bool:
        """Whether the file is there, and drawing led to the same state as stepping."""
        if isinstance(self.play, SingleEncoderPlay) or self.chunk is None:
            return self.play.rendered is not None
        return self.chunk.is_verified

    @property
    def path(self) -> Path:
        return self.chunk.path if self.chunk else self.play.identity.path


class ShardScheduler(Scheduler):
    """The RenderDelegate of a shard's stepping process.

    ``missing`` is None at first. It names the clips that this shard draws when it has to go through the scene again,
    because the store had lost them after all shards had arrived.
    """

    def __init__(
        self, scene: Scene, options: ParallelOptions, exchange: ShardExchange, missing: Collection[ClipId] | None
    ) -> None:
        super().__init__(scene, options)
        self._exchange, self._missing = exchange, missing
        self._deal = Deal(exchange.place.count)
        self._stored = set(exchange.list_clips())
        self._report = ShardReport(exchange.place.index, describe_encoding(), find_kernel())
        self._clips: list[_SteppedClip] = []
        self._unstored: list[_SteppedClip] = []
        self._chain = ""

    def _plan(self, identity: PlayIdentity) -> Play:
        """Divide the play into clips, which depend on the scene alone, and find out which of them are drawn here."""
        frames = count_frames(self._scene)
        longest = frames if self._options.single_encoder else self._options.max_chunk_frames or frames
        ranges = divide_frames(frames, longest)
        weights = PlayWeights(self._scene)
        here = [
            self._is_drawn_here((identity.number, index), weights.weigh(last - first))
            for index, (first, last) in enumerate(ranges)
        ]
        if not here[0] and identity.fingerprint and not identity.manim_key:
            self._note_key(identity)  # otherwise the renderer of the first chunk computes it
        if any(here):
            play = super()._plan(identity)
        else:
            chunks = [
                Chunk(index, first, last, identity.path.with_stem(f"{identity.name}-{index:03}"), last == frames)
                for index, (first, last) in enumerate(ranges)
            ]
            play = ChunkedPlay(identity=identity, start=self._scene.renderer.time, chunks=chunks)
        if isinstance(play, ChunkedPlay):
            for chunk, is_here in zip(play.chunks, here, strict=True):
                chunk.elsewhere = not is_here
        return play

    def _start_again(self, stop: Stop) -> NoReturn:
        """Raise ``stop``; the next attempt finds in the store what is drawn now."""
        try:
            super()._start_again(stop)
        finally:
            self._store_clips()

    def _is_drawn_here(self, place: ClipId, weight: int) -> bool:
        shard = self._deal.choose_shard(weight)
        if self._missing is not None:
            return place in self._missing
        return shard == self._exchange.place.index and place not in self._stored

    def begin_play(self) -> tuple[str, bool]:
        """Store what is complete, then begin the play."""
        self._store_clips()
        return super().begin_play()

    def before_frame(self) -> None:
        """Store what is complete where a chunk begins."""
        if self._play.current_chunk.first == self._play.frame:
            self._store_clips()
        super().before_frame()

    def _watch_threads(self, play: Play) -> None:
        """Do nothing: most shards are on other machines, and one that rendered all would take longer."""

    def _expect(self, chunk: Chunk) -> None:
        chunk.expected = digest_state(self._scene, with_parts=True)
        if chunk.elsewhere:
            chunk.reached = chunk.expected
        self._monitor.verify(self._play, chunk)
        if not isinstance(self._play, SingleEncoderPlay):
            self._record(chunk, chunk.index, chunk.frames)

    def end_play(self) -> None:
        """Record the state after the play."""
        super().end_play()
        if isinstance(self._play, SingleEncoderPlay):
            self._record(None, 0, self._play.frame)

    def _record(self, chunk: Chunk | None, index: int, frames: int) -> None:
        """Record the scene's state at the end of a clip."""
        play, state = self._play, (chunk or self._play.chunks[-1]).expected
        assert state  # noqa: S101  # for the type checker
        self._chain = hashlib.sha256(f"{self._chain} {frames} {state.digest}".encode()).hexdigest()[:32]
        self._report.boundaries.append(Boundary(play.identity.number, index, frames, state))
        clip = _SteppedClip((play.identity.number, index), self._chain, play, chunk)
        self._clips.append(clip)
        if not clip.is_elsewhere:
            self._unstored.append(clip)

    def _store_clips(self) -> None:
        """Store the clips that are complete."""
        for clip in [clip for clip in self._unstored if clip.is_complete]:
            self._unstored.remove(clip)
            self._exchange.keep_clip(clip.place, clip.chain, clip.path)

    def finish(self) -> dict[str, tuple[Clip, ...]]:
        """Wait for the own clips; return those of all shards, if this one is the last.

        Raises ShardEnded, ShardsDiffer, ClipsMissing.
        """
        own = [clip for clip in self._clips if not clip.is_elsewhere]
        self._monitor.total = sum(clip.chunk.frames if clip.chunk else clip.play.frame for clip in own)
        self._monitor.wait_for_all()
        self._store_clips()
        if self._missing is None:
            self._meet_others()
        self._fetch_clips()
        return super().finish()

    @property
    def rendered_plays(self) -> dict[int, RenderedPlay]:
        """Nothing: another attempt finds in the store what is rendered."""
        return {}

    def _meet_others(self) -> None:
        if not self._exchange.arrive(self._report):
            raise ShardEnded
        reports = self._exchange.read_reports()
        if reports is None:
            raise ShardsDiffer("the report of a shard is damaged")
        if why := next((report.why_serial for report in reports if report.why_serial), None):
            raise ShardsDiffer(f"in one of the shards it cannot be rendered in parallel: {why}")
        if difference := find_difference([self._report, *reports]):
            raise ShardsDiffer(difference)

    def _fetch_clips(self) -> None:
        """Download the clips that others have drawn."""
        stored, missing = self._exchange.list_clips(), set()
        for clip in self._clips:
            if not clip.is_elsewhere or not clip.chunk:
                continue
            candidates = (found for found in stored.get(clip.place, ()) if found.chain == clip.chain)
            path = next(filter(None, map(self._exchange.fetch_clip, candidates)), None)
            if path:
                clip.chunk.path = path
                clip.play.identity.path.parent.mkdir(parents=True, exist_ok=True)  # nothing may have been drawn here
            else:
                missing.add(clip.place)
        if missing and self._missing is not None:
            raise ShardsDiffer("the store does not keep what the shards put into it")
        if missing:
            raise ClipsMissing(missing)
