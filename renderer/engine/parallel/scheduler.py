"""Steps a scene, divides its plays into chunks, and forks a chunk renderer where each chunk begins."""

from __future__ import annotations

import logging
from typing import NoReturn, TypeGuard

from renderer.engine.abort import KeysNeeded, Mispredicted, Stop, Unfit, UnfitFromHere
from renderer.engine.adapter.leap import can_leap, digest_begun_play, digest_ended_play
from renderer.engine.adapter.play_key import Fingerprint, compute_manim_key
from renderer.engine.adapter.scene_state import SceneState
from renderer.engine.adapter.state_digest import digest_state
from renderer.engine.cache.entry import CacheEntry
from renderer.engine.guards.math_threads import MathThreads
from renderer.engine.guards.pixel_access import release_pixels, released_pixels
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.forker import Forker
from renderer.engine.parallel.monitor import Monitor
from renderer.engine.parallel.own_encoder import OwnEncoder
from renderer.engine.parallel.plan import ParallelOptions, PlayPlanner, identify_play
from renderer.engine.parallel.play import (
    Chunk,
    ChunkedPlay,
    Play,
    PlayIdentity,
    RenderedPlay,
    ReusedPlay,
    SingleEncoderPlay,
    describe_play,
    reuse_play,
)
from renderer.engine.request import PlayReport
from renderer.video.concat import Clip, write_play
from renderer.video.frame import Pixels

MOST_DRAWN_TWICE = 4  # times the frames of a play that is slow in parallel: going on costs about as much
_log = logging.getLogger(__name__)


class Scheduler:
    """The RenderDelegate of the stepping process, which goes through the frames as Manim does, but draws none.

    If from some play on the scene cannot be rendered in parallel, this process then draws and encodes as Manim does.
    """

    is_forked = False

    def __init__(self, scene: Scene, options: ParallelOptions) -> None:
        self._scene, self._options, self.draws = scene, options, False
        self._planner = PlayPlanner(scene, options)
        self._monitor = Monitor(options.progress)
        self._forker = Forker(scene, options, self._planner, self._monitor)
        self._plays: list[Play] = []
        self._known: dict[Fingerprint, list[PlayIdentity]] = {}
        self._has_changed = False  # the video of a play that was drawn is written
        self._predicted: list[CacheEntry] = []  # one for each chunk of the current play, if they were all predicted
        self._without_key: set[int] = set()  # plays of which no process computes Manim's key
        self._has_static = False  # whether something stands still during the current play
        self._threads = MathThreads()
        self._encoder = OwnEncoder(scene, options.open_encoder)

    @property
    def _play(self) -> Play:
        return self._plays[-1]

    def prepare_play(self, number: int) -> None:
        """From the first play on that must be drawn here, let the scene do what it could not do in two processes."""
        first = self._options.first_serial
        if not self.draws and first is not None and number >= first:
            self.wait_for_processes()
            self.draws = True
            release_pixels(self._scene.renderer.camera)
            self._options.process.side_effects.refuse_only_forks()

    def begin_play(self) -> tuple[str, bool]:
        """Return the name of the play's segment, and whether the play repeats an earlier one, so that Manim skips it.

        For a play that is not skipped, fork the chunk renderer of its first chunk.
        """
        self._write_changed()
        identity = identify_play(self._scene)
        name = identity.name
        if repeated := self._find_repeated(identity):
            _log.debug("play %d repeats play %d", identity.number, repeated.number)
            self._forker.close_group()
            return repeated.name, True
        if self.draws:
            self._begin_here(identity)
            return name, False
        play = self._plan(identity)
        self._plays.append(play)
        self._predicted, self._has_static = self._restore_predicted(play), False
        if self._predicted or (isinstance(play, ReusedPlay) and identity.manim_key is None):
            self._note_key(identity)
        if self._predicted:
            self._forker.close_group()
            return name, False
        if self._forker.join_group(play):
            return name, False
        if isinstance(play, SingleEncoderPlay):
            if self._forker.fork_play_encoder(play):
                return name, False  # this process is the encoder
            if play.found:
                play = self._take_from_cache(play, play.found)
        if not isinstance(play, ReusedPlay):
            self._fork(play, play.chunks[0])
        return name, False

    def _begin_here(self, identity: PlayIdentity) -> None:
        """Begin a play that is drawn here."""
        if identity.fingerprint and not identity.manim_key:
            identity.manim_key = compute_manim_key(self._scene)
        play = self._planner.plan_undivided(identity)
        play.chunks[0].path = self._scene.output_plan.segment_path(identity.name)
        self._plays.append(play)
        self._predicted = []
        self._encoder.begin_play(play.chunks[0])

    def _plan(self, identity: PlayIdentity) -> Play:
        return self._planner.plan_play(identity)

    def _restore_predicted(self, play: Play) -> list[CacheEntry]:
        """Copy the chunks of the play from the cache, where they are predicted; return their entries if all are.

        Then no process draws the play: it is stepped here, and its frames must give the keys that were predicted.
        """
        skipped = self._options.unpredicted
        if not isinstance(play, ChunkedPlay) or skipped is None or play.identity.number in skipped:
            return []
        made = (self._planner.make_cache_entry(chunk.path, chunk.prediction) for chunk in play.chunks)
        entries = [entry for entry in made if entry and entry.restore_predicted()]
        return entries if len(entries) == len(play.chunks) else []

    def _note_key(self, identity: PlayIdentity) -> None:
        """Note that no other process computes Manim's key of the play, or compute it here if it may be needed."""
        if not self._options.with_keys:
            self._without_key.add(identity.number)
        elif identity.fingerprint:
            identity.manim_key = compute_manim_key(self._scene)

    def _start_again(self, stop: Stop) -> NoReturn:
        """Raise ``stop`` as soon as what is drawn now is complete: the next attempt uses that."""
        self._forker.close_group()
        self._monitor.wait_for_all()
        raise stop

    def _fork(self, play: ChunkedPlay | SingleEncoderPlay, chunk: Chunk) -> None:
        """Fork the chunk renderer of a chunk, unless the chunk is drawn elsewhere."""
        if not chunk.elsewhere:
            self._forker.fork_chunk_renderer(play, chunk)
        elif not chunk.first and play.static_image:
            self._forker.fork_static_image(play)

    def _take_from_cache(self, play: SingleEncoderPlay, found: RenderedPlay) -> ReusedPlay:
        """Replace the play by the one that the chunk cache had, and return that."""
        play.buffers.close(0)
        if play.static_image:
            play.static_image.close()
        reused = reuse_play(play.identity, play.start, play.chunks[-1].last, found, "chunk cache")
        self._plays[-1] = reused
        return reused

    def _find_repeated(self, identity: PlayIdentity) -> PlayIdentity | None:
        """Return the earlier play whose segment Manim would use again, or None.

        Manim's key is slow to compute. It is only needed for plays with the same fingerprint.
        """
        if not identity.fingerprint:
            return None
        alike = self._known.setdefault(identity.fingerprint, [])
        if alike:
            identity.manim_key = compute_manim_key(self._scene)
            for earlier in alike:
                if earlier.number in self._without_key:
                    self._start_again(KeysNeeded())
                self._monitor.wait_until(lambda earlier=earlier: earlier.manim_key is not None)  # type: ignore[misc]
                if earlier.manim_key == identity.manim_key:
                    refuse_drawn_keys(self._scene)
                    return earlier
        alike.append(identity)
        return None

    def share_static_image(self, drawn: Pixels | None) -> Pixels | None:
        """Return a copy of what is drawn here of what stands still.

        What is drawn elsewhere is digested instead: chunks after the first one need that for their cache keys.
        """
        if drawn is not None:
            return drawn.copy()
        play, self._has_static = self._play, True
        if self._predicted:
            if not self._predicted[-1].play:
                self._add_static_image()
        elif self._options.cache and isinstance(play, ChunkedPlay) and play.static_image:
            play.static_digest = self._planner.digest_static_image()
        return None

    def _add_static_image(self) -> None:
        """Add to the keys that must be the predicted ones what stands still; nothing has moved yet."""
        digest = self._planner.digest_static_image()
        for entry in self._predicted:
            entry.add_static_image(digest)

    def needs_frame(self) -> bool:
        """Return whether a chunk renderer may begin with this frame, or the play's end or a key depends on it."""
        if self.draws:
            return True
        play = self._play
        if play.can_leap is None:
            play.can_leap = self._begin_frames(play)
        chunk = play.current_chunk
        return not play.can_leap or play.frame + 1 >= chunk.last or 0 < chunk.first == play.frame

    def _begin_frames(self, play: Play) -> bool:
        """Return whether all but the first and the last frame of each chunk can be left out.

        The play has begun, and no frame was stepped to. A play in the cache needs each frame for its key, unless
        a digest says that all are those in the cache. Take that digest of a new play, too, for the next render; the
        renderer of a play's first chunk does that itself.
        """
        leaps = self._options.leap and can_leap(self._scene)
        is_kept = self._options.cache and isinstance(play, ChunkedPlay)
        if leaps and is_kept and (self._predicted or len(play.chunks) > 1):
            play.begun = digest_begun_play(self._scene)
        if not self._predicted:
            return leaps
        # each chunk has its own note: those of several renders may be mixed
        leaps = leaps and all(entry.play and entry.play.begun == play.begun for entry in self._predicted)
        if not leaps and self._has_static and self._predicted[-1].play:
            self._add_static_image()
        return leaps

    def before_frame(self) -> None:
        """Fork the chunk renderer of a chunk that begins at this frame, within the play."""
        play, chunk = self._play, self._play.current_chunk
        if chunk.first and chunk.first == play.frame and self._is_drawn(play):
            self._fork(play, chunk)

    def take_frame(self, pixels: Pixels | None, repeat: int) -> None:
        """Count the frame. At the end of a chunk, record the scene's state."""
        if repeat < 1:
            raise Unfit("a wait is shorter than one frame")
        play, chunk = self._play, self._play.current_chunk
        if self._predicted and not play.can_leap:
            with released_pixels(self._scene.renderer.camera):
                self._predicted[chunk.index].add_frame(repeat, on_background=not self._has_static)
        if pixels is None:
            self._watch_threads(play)
        else:
            self._encoder.write(pixels, repeat)
            self._monitor.count_frames(repeat)
        play.frame += repeat
        chunk.frames += repeat
        if not chunk.final and play.frame == chunk.last:
            self._expect(chunk)

    def _is_drawn(self, play: Play) -> TypeGuard[ChunkedPlay | SingleEncoderPlay]:
        """Return whether the frames of the play are drawn, and not there already."""
        return not isinstance(play, ReusedPlay) and not self._predicted

    def _watch_threads(self, play: Play) -> None:
        """Raise UnfitFromHere if several threads computed the frames so far, and little was drawn before the play."""
        if not play.frame:
            self._threads.begin_play()
        elif self._is_drawn(play) and self._threads.take_much(play.frame):
            before = sum(earlier.frame for earlier in self._plays[:-1])
            if before <= MOST_DRAWN_TWICE * play.chunks[-1].last:
                raise UnfitFromHere(
                    "several threads compute its frames, and several processes would take each other's time"
                )

    def end_play(self) -> None:
        """Record the scene's state after the play. Drop the chunks that the play did not reach (``stop_condition``)."""
        play = self._play
        if self.draws:
            self._encoder.end_play()
            play.ended = True
            return
        play.chunks = [chunk for chunk in play.chunks if chunk.frames]
        if play.chunks[-1].expected is None:
            self._expect(play.chunks[-1])
        if isinstance(play, ReusedPlay):
            self._monitor.count_frames(play.frame, cached=play.frame if play.source == "chunk cache" else 0)
        elif play.static_image:
            play.static_image.close()
            play.static_image = None
        if isinstance(play, SingleEncoderPlay):
            play.buffers.close(len(play.chunks))
        play.ended = True
        self._forker.end_play()

    def report_failure(self, error: BaseException) -> None:
        """Do nothing: whoever runs the scene waits for the chunk renderers, which may report the cause."""

    def finish(self) -> dict[str, tuple[Clip, ...]]:
        """Wait for all processes; return the clips of each segment, by the segment's path."""
        self._forker.close_group()
        self._monitor.total = sum(play.frame for play in self._plays)
        self._monitor.wait_until(self._write_changed)
        self._monitor.wait_for_all()
        self._write_changed()
        segment_path = self._scene.output_plan.segment_path
        return {str(segment_path(play.identity.name)): play.clips for play in self._plays}

    def _write_changed(self) -> bool:
        """Write the video of the first play that was drawn, once it is complete; return whether nothing is left to do.

        It is a play that was changed, if the others are in the chunk cache.
        """
        folder, spec = self._options.changed, self._scene.session_spec.video_encoder
        if folder is None or spec is None or self._has_changed:
            return True
        self._monitor.read_messages()  # between predicted plays, nothing else reads them
        drawn = (play for play in self._plays if play.ended and describe_play(play).source == "drawn")
        if play := next((play for play in drawn if play.rendered), None):
            write_play(play.clips, folder / f"{play.identity.name}{play.identity.path.suffix}", spec)
            self._has_changed = True
        return self._has_changed or all(play.rendered for play in self._plays)

    @property
    def rendered_plays(self) -> dict[int, RenderedPlay]:
        """The plays that are rendered completely, by number."""
        return {play.identity.number: rendered for play in self._plays if (rendered := play.rendered)}

    @property
    def play_reports(self) -> list[PlayReport]:
        """What result.json says of the plays, in order."""
        return [describe_play(play) for play in self._plays]

    @property
    def cached(self) -> int:
        """How many frames came from the chunk cache."""
        return self._monitor.cached

    def wait_for_processes(self) -> None:
        """Wait until all processes have ended; called between two plays."""
        self._forker.close_group()
        with self._options.process.stops.recording():
            self._monitor.wait_for_all()

    def settle(self, before: int | None = None) -> None:
        """Wait for the plays that have ended, or only for those before play ``before``; kill what draws later ones.

        After an error of the scene, their processes may report what caused it.
        """
        self._forker.close_group()
        for play in self._plays:
            if not play.ended or (before is not None and play.identity.number >= before):
                self._monitor.kill(play)
        self._monitor.wait_for_all()

    def abort(self) -> None:
        """Kill all processes, and discard what is encoded here."""
        self._monitor.kill()
        self._forker.end_encoders()
        self._encoder.abort()

    def _expect(self, chunk: Chunk) -> None:
        if self._predicted:  # no other process has a state to compare with
            if not self._is_as_predicted(chunk):
                self._start_again(Mispredicted(self._play.identity.number))
            chunk.expected = chunk.reached = SceneState("")
            chunk.cached = chunk.frames
            self._monitor.count_frames(chunk.frames, cached=chunk.frames)
            return
        chunk.expected = digest_state(self._scene)
        self._monitor.verify(self._play, chunk)

    def _is_as_predicted(self, chunk: Chunk) -> bool:
        """Return whether the frames of a chunk are those that were predicted, or the play has ended as it did then."""
        entry = self._predicted[chunk.index]
        if not self._play.can_leap:
            return entry.is_as_predicted
        return not chunk.final or (entry.play is not None and entry.play.ended == digest_ended_play(self._scene))


def refuse_drawn_keys(scene: Scene) -> None:
    """Raise Unfit where Manim's keys contain drawn pixels, which the stepping process does not have."""
    family = scene.get_mobject_family_members()
    if any("camera" in vars(member) or getattr(member, "background_image", None) is not None for member in family):
        raise Unfit("only its drawn frames show whether two of its plays are the same")
