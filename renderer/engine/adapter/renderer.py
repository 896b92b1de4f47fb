"""Stands in for Manim's renderer and file writer: the same steps, with the painting left to a crew."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter
from manim.utils.iterables import list_update

from renderer.engine.abort import Stop, Unfit
from renderer.engine.adapter.camera_state import paint_nothing
from renderer.engine.guards.overrides import find_overridden_getter, find_overridden_method, has_own_label_positions
from renderer.engine.guards.pixel_access import (
    CHANGES_PIXELS,
    READS_PIXELS,
    has_guarded_pixels,
    is_called_by_scene,
    released_pixels,
)
from renderer.engine.guards.side_effects import SideEffectGuard
from renderer.video.concat import Clip, join_clips
from renderer.video.frame import Pixels


class Crew(Protocol):
    """Does what has to do with pixels. The stepping parent's crew forks painters; a painter is its own crew."""

    paints: bool

    def begin_play(self) -> tuple[str, bool]:
        """Give the play's segment a name; True with it if Manim would take it from its cache and skip the play."""

    def static_image(self, painted: Pixels | None) -> Pixels | None:
        """Keep the image of what stands still during the play, or give it."""

    def before_frame(self) -> None:
        """Take note that the scene has been stepped to a frame."""

    def frame(self, pixels: Pixels | None, repeat: int) -> None:
        """Take a frame that has been painted, or would have been."""

    def end_play(self) -> None:
        """Take note that the play has ended."""

    def failed(self, error: BaseException) -> None:
        """Take note that the play raised an error."""

    def finish(self) -> dict[str, list[Clip]]:
        """Wait until all is painted; return the clips of each segment in order."""

    def abort(self) -> None:
        """End all painting."""


class SteppingRenderer(CairoRenderer):  # type: ignore[misc]
    """Manim's renderer with every painted frame handed to the crew."""

    crew: Crew
    side_effects: SideEffectGuard
    shown: list[Any]  # what the last frame shows
    _inside_play = False

    @property
    def static_image(self) -> Pixels | None:
        """What stands still during the play; None where it is not painted."""
        if is_called_by_scene():
            raise Unfit(READS_PIXELS)
        return vars(self)["static_image"]  # type: ignore[no-any-return]

    @static_image.setter
    def static_image(self, image: Pixels | None) -> None:
        if self._inside_play and is_called_by_scene():
            raise Unfit(CHANGES_PIXELS)
        self.__dict__["static_image"] = image

    def play(self, scene: Any, *args: Any, **kwargs: Any) -> None:
        """Do what CairoRenderer.play does, in its order."""
        Stop.again()
        if self._inside_play:
            raise Unfit("a play starts while another one runs or after it failed")
        if not self.crew.paints:
            self._refuse_hooks(scene)
        self.skip_animations = self._original_skipping_status
        self.update_skipping_status()
        scene.compile_animation_data(*args, **kwargs)
        self._inside_play = True
        try:
            with self.side_effects.stepping():
                self._play_compiled(scene)
        except BaseException as error:
            self.crew.failed(error)
            raise
        self._inside_play = False
        self.num_plays += 1

    def _refuse_hooks(self, scene: Any) -> None:
        """Refuse, by Unfit, what the scene has put in the place of Manim's: only painting would call it."""
        if not has_guarded_pixels(self.camera):
            raise Unfit("it changes its camera for another one")
        for what, thing, kind in (
            ("renderer", self, CairoRenderer),
            ("file writer", self.file_writer, SceneFileWriter),
            ("camera", self.camera, type(self.camera)),
        ):
            if name := find_overridden_method(thing, kind):
                raise Unfit(f"it replaces {name} of its {what}")
        if name := find_overridden_getter(scene.mobjects):
            raise Unfit(f"it replaces {name} of a mobject")
        if has_own_label_positions(self.camera):
            raise Unfit("it places labels in space by a function of its own")

    def _play_compiled(self, scene: Any) -> None:
        name = None
        if not self.skip_animations:
            with self.side_effects.allowed():
                name, self.skip_animations = self.crew.begin_play()
        if self.skip_animations:
            self.time += scene.duration
        self.file_writer.add_partial_movie_file(name)
        self.animations_hashes.append(name)
        scene.begin_animations()
        self.save_static_frame_data(scene, scene.static_mobjects)
        if scene.is_current_animation_frozen_frame():
            self.update_frame(scene, mobjects=scene.moving_mobjects)
            self.freeze_current_frame(scene.duration)
        else:
            scene.play_internal()
        if not self.skip_animations:
            with self.side_effects.allowed():
                self.crew.end_play()

    def update_frame(
        self,
        scene: Any,
        mobjects: Iterable[Any] | None = None,
        include_submobjects: bool = True,
        ignore_skipping: bool = True,
        **kwargs: Any,
    ) -> None:
        """Paint, or do to the camera what painting does."""
        self.shown = list(mobjects or list_update(scene.mobjects, scene.foreground_mobjects))
        if self.crew.paints and not self.skip_animations:
            super().update_frame(scene, self.shown, include_submobjects, ignore_skipping, **kwargs)
        else:
            with released_pixels(self.camera):
                paint_nothing(self.camera, self.shown)

    def render(self, scene: Any, time: float, moving_mobjects: Iterable[Any] | None = None) -> None:  # noqa: ARG002
        """Paint a frame of the running play."""
        if not self._inside_play:
            raise Unfit("it has a frame made outside of any play")
        if not self.skip_animations:
            with self.side_effects.allowed():
                self.crew.before_frame()
        self.update_frame(scene, moving_mobjects)
        self._add(1)

    def freeze_current_frame(self, duration: float) -> None:
        """Show the frame for so many seconds."""
        self._add(int(duration / (1 / self.camera.frame_rate)))

    def _add(self, repeat: int) -> None:
        if not self.skip_animations:
            self.time += repeat * (1 / self.camera.frame_rate)
            with self.side_effects.allowed():
                self.crew.frame(self.camera.pixel_array if self.crew.paints else None, repeat)

    def save_static_frame_data(self, scene: Any, static_mobjects: Iterable[Any]) -> Pixels | None:
        """Paint what stands still during the play, for each frame to start from."""
        if is_called_by_scene():
            raise Unfit(CHANGES_PIXELS)
        self.static_image = None
        if static_mobjects:
            self.update_frame(scene, mobjects=static_mobjects)
            painting = self.crew.paints and not self.skip_animations
            self.static_image = self.crew.static_image(self.camera.pixel_array if painting else None)
        return self.static_image

    def scene_finished(self, scene: Any) -> None:
        """Assemble the video. A scene without a play becomes an image, which is painted here."""
        Stop.again()
        if not self.num_plays:
            self.skip_animations, self.crew.paints = False, True
            with released_pixels(self.camera):
                super().scene_finished(scene)
        else:
            super().scene_finished(scene)


class SteppingWriter(SceneFileWriter):  # type: ignore[misc]
    """Manim's file writer, which finds the segments painted when it comes to join them."""

    crew: Crew

    def write_frame(self, pixels: Pixels, *, repeat: int = 1) -> None:  # noqa: ARG002
        """Refuse: frames come from painters."""
        raise Unfit("it writes frames itself")

    def open_partial_movie_stream(self, **_: Any) -> None:
        """Refuse: segments come from painters."""
        raise Unfit("it opens video segments itself")

    def abort_encode_jobs(self, reraise_encoder_failures: bool = False) -> None:
        """Leave it to who called the scene: painters may have something to say of its error."""

    def finish(self) -> None:
        """Wait for the painters, then join their segments."""
        for segment, clips in self.crew.finish().items():
            self._make(Path(segment), clips)
        super().finish()

    def _make(self, segment: Path, clips: list[Clip]) -> None:
        if len(clips) == 1:
            clips[0].path.rename(segment)
        else:
            join_clips(clips, segment, self.video_encoder)
