"""The crew of the stepping parent: forks a painter at each part of each play, and checks that it went the same way."""

from __future__ import annotations

from typing import Any

from renderer.engine.abort import Unfit
from renderer.engine.adapter.state_digest import state_digest
from renderer.engine.cache.entry import static_picture
from renderer.engine.guards.pixel_access import released_pixels
from renderer.engine.parallel.frame_buffers import Joining, part_length
from renderer.engine.parallel.monitor import Watch
from renderer.engine.parallel.plan import Forks, Plan
from renderer.engine.parallel.play import Painted, Part, Play, cut, fingerprint, frame_count, manim_cache_key
from renderer.engine.parallel.shared_image import SharedImage
from renderer.video.concat import Clip
from renderer.video.frame import Pixels


class Stepper:
    """Steps the scene through every frame as Manim does; children forked on the way paint."""

    paints = False

    def __init__(self, scene: Any, plan: Plan) -> None:
        self._scene, self._plan = scene, plan
        self._watch = Watch(plan.progress)
        self._forks = Forks(scene, plan, self._watch)
        self._plays: list[Play] = []
        self._known: dict[tuple[Any, ...], list[Play]] = {}

    @property
    def _play(self) -> Play:
        return self._plays[-1]

    def begin_play(self) -> tuple[str, bool]:
        """Name the segment; fork the painter of its first part, unless Manim would find the play in its cache."""
        number = self._scene.renderer.num_plays
        name = f"{number:05}"
        play = Play(number, name, self._scene.output_plan.segment_path(f"{name}-000"))
        if repeated := self._repeated(play):
            return repeated.name, True
        self._plays.append(play)
        total = frame_count(self._scene)
        painted = self._plan.painted.get(number)
        if painted and painted.fingerprint == play.fingerprint:
            play.take_painted(painted, total)
            return play.name, False
        self._cut(play, total)
        if play.joining and self._forks.encoder(play):
            return play.name, False
        if not play.taken:
            self._forks.painter(play, play.parts[0])
        return play.name, False

    def _cut(self, play: Play, total: int) -> None:
        """Divide the play among painters."""
        longest = self._plan.longest or total
        if (self._plan.one_encoder or total <= longest) and self._is_long(total):
            longest = self._joined(play, total)
        for old in self._plan.hashes.glob(f"{play.name}-*") if self._plan.hashes else ():
            old.unlink()  # of an earlier try, which may have had other parts
        for index, (first, last) in enumerate(cut(total, longest)):
            path = play.path if play.joining else play.path.with_stem(f"{play.name}-{index:03}")
            hashes = self._plan.hashes and self._plan.hashes / f"{play.name}-{index:03}"
            play.parts.append(Part(play.number, index, first, last, path, final=last == total, hashes=hashes))
        if len(play.parts) > 1:
            camera = self._scene.renderer.camera
            play.static = SharedImage((camera.pixel_height, camera.pixel_width, 4), self._plan.process.create_pipe())

    def _is_long(self, total: int) -> bool:
        """Tell whether several painters are worth their forks: the more are idle, the sooner, down to a third."""
        idle = self._plan.slots.count_free(self._plan.limit)
        return total > self._plan.whole * 2 / min(max(2, idle), 6)

    def _joined(self, play: Play, total: int) -> int:
        """Have several painters paint for the play's one encoder, where they can; give the most frames of a part."""
        spec = self._scene.session_spec.video_encoder
        longest = min(self._plan.longest or total, part_length(spec, total, self._plan.limit) or total)
        if longest == total:
            return total
        buffers = min(self._plan.limit + 1, -(-total // longest))
        play.joining = Joining(spec, longest, buffers, self._plan.process.create_pipe())
        return longest

    def _repeated(self, play: Play) -> Play | None:
        """Find the earlier play whose segment Manim would take again. Only equal fingerprints need its slow key."""
        from manim import config

        if config["disable_caching"]:
            return None
        play.fingerprint = fingerprint(self._scene)
        alike = self._known.setdefault(play.fingerprint, [])
        if alike:
            play.cache_key = manim_cache_key(self._scene)
            for earlier in alike:
                self._watch.until(lambda earlier=earlier: earlier.cache_key is not None)  # type: ignore[misc]
                if earlier.cache_key == play.cache_key:
                    _refuse_painted_keys(self._scene)
                    return earlier
        alike.append(play)
        return None

    def static_image(self, painted: Pixels | None) -> Pixels | None:  # noqa: ARG002
        """Nothing is painted here; take note of what the painter of the play's first part paints."""
        if self._plan.cache and self._play.static and not self._play.joining:
            with released_pixels(self._scene.renderer.camera):
                self._play.static_picture = static_picture(self._scene)
        return None

    def before_frame(self) -> None:
        """Fork where a part begins."""
        part = self._play.part
        if part.first and part.first == self._play.frame:
            self._forks.painter(self._play, part)

    def frame(self, pixels: Pixels | None, repeat: int) -> None:  # noqa: ARG002
        """Count; note the state at the end of a part."""
        if repeat < 1:
            raise Unfit("a wait is too short for one frame")
        play, part = self._play, self._play.part
        play.frame += repeat
        part.frames += repeat
        if not part.final and play.frame == part.last:
            self._expect(part)

    def end_play(self) -> None:
        """Note the state at the end of the play; forget the parts that a stop condition left out."""
        play = self._play
        play.parts = [part for part in play.parts if part.frames]
        if play.parts[-1].expected is None:
            self._expect(play.parts[-1])
        if play.static:
            play.static.close()
            play.static = None
        if play.joining:
            play.joining.end(len(play.parts))
        play.ended = True
        if play.before:
            self._watch.count(play.frame)

    def failed(self, error: BaseException) -> None:
        """Nothing to do: the file writer is told to abort."""

    def finish(self) -> dict[str, list[Clip]]:
        """Wait for all painters; return the clips of each segment in order."""
        self._watch.total = sum(play.frame for play in self._plays)
        self._watch.finish()
        segment_path = self._scene.output_plan.segment_path
        return {
            str(segment_path(play.name)): [Clip(part.path, part.frames) for part in play.files] for play in self._plays
        }

    @property
    def painted(self) -> dict[int, Painted]:
        """The plays that are painted whole, by number."""
        return {play.number: painted for play in self._plays if (painted := play.painted)}

    @property
    def cached(self) -> int:
        """Count the frames that were not painted, but found in the cache."""
        return self._watch.cached

    def wait(self) -> None:
        """Wait for what is being painted."""
        self._watch.finish()

    def settle(self) -> None:
        """After an error of the scene hear the painters of the plays before it: one may tell that the error is ours."""
        if self._plays and not self._play.ended:
            self._watch.abort(self._play)
        self._watch.finish()

    def abort(self) -> None:
        """End all painters."""
        self._watch.abort()

    def _expect(self, part: Part) -> None:
        part.expected = state_digest(self._scene)
        self._watch.check(part)


def _refuse_painted_keys(scene: Any) -> None:
    """Refuse to compare keys that contain painted pixels, which the parent does not have."""
    family = scene.get_mobject_family_members()
    if any("camera" in vars(member) or getattr(member, "background_image", None) is not None for member in family):
        raise Unfit("only the painted pictures could tell whether two of its plays are the same")
