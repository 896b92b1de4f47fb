"""Steps a scene for a preview, and draws only the frames that are shown.

For a contact sheet, plays with updaters go on 15 times a second, as with Manim's ``-ql``: most of a preview's time is
that of updaters. Single frames are those of the film, so that for them every frame of such a play is stepped to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter

from renderer.engine.abort import KeysNeeded, StopRecord
from renderer.engine.adapter.leap import can_leap
from renderer.engine.adapter.play_key import compute_fingerprint, compute_manim_key, count_frames
from renderer.engine.adapter.renderer import RenderDelegate, SteppingRenderer, SteppingWriter
from renderer.engine.guards.pixel_access import guard_pixels, install_pixel_guards, release_pixels
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.scheduler import refuse_drawn_keys
from renderer.engine.patches import installer
from renderer.engine.preview.recorder import Recorder
from renderer.engine.request import Progress
from renderer.mirrors import mirrors
from renderer.video.concat import Clip
from renderer.video.frame import Pixels

SHEET_FPS = 15
COARSE_NOTE = (
    f"where mobjects have updaters, the scene went on {SHEET_FPS} times a second, as with -ql: what adds up small "
    "steps may be elsewhere in the film; --play and --at show the film's frames"
)


class PreviewDelegate:
    """The RenderDelegate of a preview: lets the renderer draw the frames that are shown, and keeps them."""

    draws = is_forked = False

    def __init__(
        self, scene: Scene, recorder: Recorder, stops: StopRecord, progress: Progress | None, *, with_keys: bool
    ) -> None:
        self._scene, self._recorder, self._stops, self._progress = scene, recorder, stops, progress
        self._with_keys = with_keys
        self._wanted = recorder.wanted_frames()
        self._known: dict[object, int] = {}
        self._length = 0  # the most frames that the play can have
        self._step: int | None = None  # how many frames the scene goes on at once; None until the play has begun
        self._wants_last = self._stands_still = False

    def prepare_play(self, number: int) -> None:
        """Do nothing: a preview is made in the same way from the first play to the last."""

    def begin_play(self) -> tuple[str, bool]:
        """Return the name of the play's segment, and whether the play repeats an earlier one."""
        number = self._scene.renderer.num_plays
        repeats = self._find_repeated(number)
        self._recorder.begin_play(repeats)
        if self._progress:
            self._progress(self._recorder.position, None)
        if repeats is not None:
            self._recorder.check_play()
            return f"{repeats:05}", True
        first, self._length, self._step = self._recorder.position, count_frames(self._scene), None
        self._wants_last = self._recorder.wants_last_frame(number)
        self._stands_still = self._scene.is_current_animation_frozen_frame()
        ends = first + (round(self._scene.duration * self._recorder.fps) if self._stands_still else self._length)
        # draws what stands still, if one of the frames on top of it is shown
        self._set_drawing(on=self._wants_last or any(first <= frame <= ends for frame in self._wanted))
        self._watch_condition()
        return f"{number:05}", False

    def _find_repeated(self, number: int) -> int | None:
        """Return the number of the earlier play whose segment Manim would use again.

        Raises KeysNeeded, through ``stops``, if Manim's keys are needed to know it: they are slow to compute.
        """
        from manim import config

        if config["disable_caching"]:
            return None
        key = compute_manim_key(self._scene) if self._with_keys else compute_fingerprint(self._scene)
        first = self._known.setdefault(key, number)
        if first == number:
            return None
        if not self._with_keys:
            self._stops.raise_stop(KeysNeeded())
        refuse_drawn_keys(self._scene)
        return first

    def _watch_condition(self) -> None:
        """Draw the last frame of a wait that its ``stop_condition`` ends early, when that is known."""
        scene: Any = self._scene
        renderer: Any = self._scene.renderer
        condition: Callable[[], bool] | None = scene.stop_condition
        if condition is None or not self._wants_last:
            return

        def is_met() -> bool:
            met = condition()
            if met and (last := self._recorder.position - 1) not in self._recorder.drawn:
                self._set_drawing(on=True)
                CairoRenderer.update_frame(renderer, self._scene, renderer.shown)
                self._recorder.keep(last, renderer.camera.pixel_array)
                self._set_drawing(on=False)
            return met

        scene.stop_condition = is_met

    def share_static_image(self, drawn: Pixels | None) -> Pixels | None:
        """Return the image of what stands still during the play, if it is drawn."""
        if not self._stands_still:
            self._set_drawing(on=False)
        return None if drawn is None else drawn.copy()

    def needs_frame(self) -> bool:
        """Return whether the scene must be as it is at the next frame, to be drawn or for what comes after it."""
        if self._step is None:
            self._step = self._choose_step()
        return self._done % self._step == 0 or self._is_last() or self._is_shown()

    def _choose_step(self) -> int:
        """Return how many frames the scene goes on at once; the play has begun."""
        scene: Any = self._scene
        if can_leap(scene):
            return self._length
        if scene.stop_condition or not self._recorder.shows_sheet:
            return 1
        step = max(1, int(self._recorder.fps / SHEET_FPS))
        if step > 1 and (scene.updaters or any(member.updaters for member in scene.get_mobject_family_members())):
            self._recorder.findings.note(COARSE_NOTE)
        return step

    @property
    def _done(self) -> int:
        """How many frames of the play there are so far."""
        return self._recorder.position - self._recorder.plays[-1].first_frame

    def _is_last(self) -> bool:
        return self._done == self._length - 1

    def _is_shown(self) -> bool:
        return self._recorder.position in self._wanted or (self._wants_last and self._is_last())

    def before_frame(self) -> None:
        """Decide whether the next frame is drawn."""
        self._set_drawing(on=self._is_shown())

    def take_frame(self, pixels: Pixels | None, repeat: int) -> None:
        """Count the frame; keep it if it was drawn."""
        first = self._recorder.position
        self._recorder.add_frames(repeat)
        if pixels is not None and repeat:
            for frame in {first + repeat - 1, *(self._wanted & set(range(first, first + repeat)))}:
                self._recorder.keep(frame, pixels)
        self._set_drawing(on=False)

    def end_play(self) -> None:
        """Check what the scene shows now."""
        self._set_drawing(on=False)
        self._recorder.check_play()

    def _set_drawing(self, *, on: bool) -> None:
        if self.draws != on:
            self.draws = on
            (release_pixels if on else guard_pixels)(self._scene.renderer.camera)

    def report_failure(self, error: BaseException) -> None:
        """Do nothing: the error ends the preview."""

    def finish(self) -> dict[str, tuple[Clip, ...]]:
        """Return nothing: a preview encodes nothing."""
        return {}

    def abort(self) -> None:
        """Do nothing: there are no other processes."""


@mirrors("manim.scene.scene_file_writer:SceneFileWriter", sha256="ab69ec81c42f8ebc")
class PreviewWriter(SteppingWriter):
    """Manim's file writer, but it writes nothing at all."""

    def finish(self) -> None:
        """Do nothing: there are no segments to join."""

    def save_image(self, pixels: Pixels) -> None:
        """Do nothing: whoever runs the scene keeps the image."""

    def write_subcaption_file(self) -> None:
        """Do nothing."""


class _UnwatchedEffects:
    """Lets the scene write files and start programs: a preview forks nothing, so that nothing happens twice."""

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Do nothing."""
        yield

    allowed = stepping


def prepare_stepping(
    scene: Scene, recorder: Recorder, stops: StopRecord, progress: Progress | None, *, with_keys: bool
) -> None:
    """Replace parts of the scene so that it is stepped, and draws only what is shown."""
    installer.install_patches()
    renderer: Any = scene.renderer
    writer: Any = renderer.file_writer
    assert type(writer) is SceneFileWriter  # noqa: S101  # others are refused before
    renderer.__class__, writer.__class__ = SteppingRenderer, PreviewWriter
    delegate: RenderDelegate = PreviewDelegate(scene, recorder, stops, progress, with_keys=with_keys)
    renderer.delegate = writer.delegate = delegate
    renderer.stops = writer.stops = stops
    renderer.side_effects = _UnwatchedEffects()
    install_pixel_guards(stops)
    guard_pixels(renderer.camera)
