"""Replaces Manim's renderer and file writer. They do the same steps, but leave all pixels to a RenderDelegate."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from manim import __version__
from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter
from manim.utils.iterables import list_update

from renderer.engine.abort import StopRecord, Unfit
from renderer.engine.adapter.camera_state import update_camera
from renderer.engine.guards.overrides import (
    ModuleFunctions,
    find_overridden_getter,
    find_overridden_method,
    has_own_label_positions,
)
from renderer.engine.guards.pixel_access import (
    CHANGES_PIXELS,
    READS_PIXELS,
    has_guarded_pixels,
    is_called_by_scene,
    released_pixels,
)
from renderer.engine.guards.side_effects import SideEffectGuard
from renderer.engine.manim_types import Mobject, Scene
from renderer.engine.patches.camera import CAMERAS
from renderer.mirrors import mirrors
from renderer.video.concat import Clip, join_clips, join_plays
from renderer.video.frame import Pixels
from renderer.video.written_rows import WRITTEN_ROWS

FRAME_OUTSIDE = "it makes a frame outside of a play"
_CAMERA_FUNCTIONS = ModuleFunctions("manim.camera.camera", "manim.camera.moving_camera", "manim.camera.three_d_camera")


class RenderDelegate(Protocol):
    """What SteppingRenderer calls for each play and frame, so that somebody else handles the pixels.

    Each process of a scene has its own: the stepping process a Scheduler, the forked ones a ChunkRenderer or a
    PlayEncoder. ``draws`` says whether frames are drawn in this process, ``is_forked`` whether it is a forked one.
    """

    draws: bool
    is_forked: bool

    def prepare_play(self, number: int) -> None:
        """Prepare for a play, which may be skipped."""

    def begin_play(self) -> tuple[str, bool]:
        """Return the name of the play's segment, and whether to skip the play, because Manim's cache has it."""

    def share_static_image(self, drawn: Pixels | None) -> Pixels | None:
        """Receive the image of what stands still during the play, None if it is not drawn; return the image to use."""

    def needs_frame(self) -> bool:
        """Return whether the next frame must be stepped to; if not, the state after the play does not depend on it."""

    def before_frame(self) -> None:
        """Prepare for a frame: the scene has been stepped to it, and it is not drawn yet."""

    def take_frame(self, pixels: Pixels | None, repeat: int) -> None:
        """Receive a frame that is shown ``repeat`` times; ``pixels`` is None if it is not drawn."""

    def end_play(self) -> None:
        """Handle the end of the play."""

    def report_failure(self, error: BaseException) -> None:
        """Handle an error that the play raised."""

    def finish(self) -> dict[str, tuple[Clip, ...]]:
        """Wait until all frames are encoded; return the clips of each segment, by the segment's path."""

    def abort(self) -> None:
        """End all drawing."""


class SteppingRenderer(CairoRenderer):  # type: ignore[misc]
    """Manim's renderer, but it passes every frame to ``delegate``, and draws only if the delegate does.

    ``shown`` are the mobjects that the last frame shows. The methods raise Unfit, through ``stops``, if the scene does
    something that cannot be rendered in parallel.
    """

    delegate: RenderDelegate
    stops: StopRecord
    side_effects: SideEffectGuard
    shown: list[Mobject]
    _inside_play = False

    @property
    def static_image(self) -> Pixels | None:
        """The image of what stands still during the play; None if it is not drawn."""
        if is_called_by_scene():
            self.stops.raise_stop(Unfit(READS_PIXELS))
        return vars(self)["static_image"]  # type: ignore[no-any-return]

    @static_image.setter
    def static_image(self, image: Pixels | None) -> None:
        if self._inside_play and is_called_by_scene():
            self.stops.raise_stop(Unfit(CHANGES_PIXELS))
        self.__dict__["static_image"] = image

    @mirrors("manim.renderer.cairo_renderer:CairoRenderer.play", sha256="cfce2a4d7aef272a")
    def play(self, scene: Scene, *args: Any, **kwargs: Any) -> None:
        """Do the steps of ``CairoRenderer.play``, in the same order."""
        self.stops.raise_again()
        if self._inside_play:
            self.stops.raise_stop(Unfit("a play starts while another one runs or after it failed"))
        self.delegate.prepare_play(self.num_plays)
        if not self.delegate.is_forked:
            self._refuse_overrides(scene)
        self.skip_animations = self._original_skipping_status
        self.update_skipping_status()
        scene.compile_animation_data(*args, **kwargs)
        self._inside_play = True
        try:
            with self.stops.recording(), self.side_effects.stepping():
                self._play_compiled(scene)
        except BaseException as error:
            self.delegate.report_failure(error)
            raise
        self._inside_play = False
        self.num_plays += 1
        self.stops.end_play()

    def _refuse_overrides(self, scene: Scene) -> None:
        """Raise Unfit if the scene replaced a method of Manim that is called only when a frame is drawn."""
        if not (self.delegate.draws or has_guarded_pixels(self.camera)):
            self.stops.raise_stop(Unfit("it replaces its camera by another one"))
        for what, thing, kind in (
            ("renderer", self, CairoRenderer),
            ("file writer", self.file_writer, SceneFileWriter),
            ("camera", self.camera, type(self.camera)),
        ):
            if name := find_overridden_method(thing, kind):
                self.stops.raise_stop(Unfit(f"it replaces {name} of its {what}"))
        if _CAMERA_FUNCTIONS.are_replaced():
            self.stops.raise_stop(Unfit("it replaces a function of Manim's camera"))
        if name := find_overridden_getter(scene.mobjects):
            self.stops.raise_stop(Unfit(f"it replaces {name} of a mobject"))
        if has_own_label_positions(self.camera):
            self.stops.raise_stop(Unfit("it places labels in space with its own function"))

    def _play_compiled(self, scene: Scene) -> None:
        name = None
        if not self.skip_animations:
            with self.side_effects.allowed():
                name, self.skip_animations = self.delegate.begin_play()
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
                self.delegate.end_play()

    @mirrors("manim.renderer.cairo_renderer:CairoRenderer.update_frame", sha256="1149ec8fa5a1418a")
    def update_frame(
        self,
        scene: Scene,
        mobjects: Iterable[Mobject] | None = None,
        include_submobjects: bool = True,
        ignore_skipping: bool = True,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        """Draw a frame, or only change the camera as drawing does."""
        self.shown = list(mobjects or list_update(scene.mobjects, scene.foreground_mobjects))
        if self._draws:
            self._reset_pixels()
            self.camera.capture_mobjects(self.shown, include_submobjects=include_submobjects, **kwargs)
        else:
            with released_pixels(self.camera):
                update_camera(self.camera, self.shown)

    def _reset_pixels(self) -> None:
        """Make the frame equal to the image of what stands still, or to the background."""
        background = self.camera.background if self.static_image is None else self.static_image
        pixels = self.camera.pixel_array
        if self.delegate.is_forked and type(self.camera) in CAMERAS and pixels.shape == np.shape(background):
            WRITTEN_ROWS.reset(pixels, background)
        else:
            self.camera.set_frame_to_background(background)

    @property
    def _draws(self) -> bool:
        """Whether frames are drawn. Manim draws those of skipped plays as well, and the scene may read their pixels."""
        return self.delegate.draws and not (self.skip_animations and self.delegate.is_forked)

    @mirrors("manim.renderer.cairo_renderer:CairoRenderer.render", sha256="6a07f9b58f46fc1e")
    def render(self, scene: Scene, time: float, moving_mobjects: Iterable[Mobject] | None = None) -> None:  # noqa: ARG002
        """Make a frame of the running play."""
        if not self._inside_play:
            self.stops.raise_stop(Unfit(FRAME_OUTSIDE))
        if not self.skip_animations:
            with self.side_effects.allowed():
                self.delegate.before_frame()
        if self.needs_frame():
            self.update_frame(scene, moving_mobjects)
        self._hand_over(1)

    def needs_frame(self) -> bool:
        """Return whether the scene must be as it is at the next frame."""
        return self.skip_animations or self.delegate.needs_frame()

    @mirrors("manim.renderer.cairo_renderer:CairoRenderer.freeze_current_frame", sha256="da22a02089173f17")
    @mirrors("manim.renderer.cairo_renderer:CairoRenderer.add_frame", sha256="c65d0e6bd468c45d")
    def freeze_current_frame(self, duration: float) -> None:
        """Show the current frame for ``duration`` seconds."""
        if not self._inside_play:
            self.stops.raise_stop(Unfit(FRAME_OUTSIDE))
        self._hand_over(int(duration / (1 / self.camera.frame_rate)))

    def _hand_over(self, repeat: int) -> None:
        if not self.skip_animations:
            self.time += repeat * (1 / self.camera.frame_rate)
            with self.side_effects.allowed():
                self.delegate.take_frame(self.camera.pixel_array if self.delegate.draws else None, repeat)

    @mirrors("manim.renderer.cairo_renderer:CairoRenderer.save_static_frame_data", sha256="25f2f42ddccc08bc")
    def save_static_frame_data(self, scene: Scene, static_mobjects: Iterable[Mobject]) -> Pixels | None:
        """Draw what stands still during the play, and return the image. Every frame is drawn on top of it."""
        if is_called_by_scene():
            self.stops.raise_stop(Unfit(CHANGES_PIXELS))
        self.static_image = None
        if static_mobjects:
            self.update_frame(scene, mobjects=static_mobjects)
            drawn = self.camera.pixel_array if self._draws else None
            if drawn is not None or not self.skip_animations:
                self.static_image = self.delegate.share_static_image(drawn)
        return self.static_image

    @mirrors("manim.renderer.cairo_renderer:CairoRenderer.scene_finished", sha256="734f4aa531e189ac")
    def scene_finished(self, scene: Scene) -> None:
        """Join the video of the scene. A scene without a play becomes an image, which is drawn here."""
        self.stops.raise_again()
        with self.stops.recording():
            if self.num_plays:
                super().scene_finished(scene)
                return
            self.skip_animations, self.delegate.draws = False, True
            with released_pixels(self.camera):
                super().scene_finished(scene)


@mirrors("manim.scene.scene_file_writer:SceneFileWriter", sha256="ab69ec81c42f8ebc")
class SteppingWriter(SceneFileWriter):  # type: ignore[misc]
    """Manim's file writer, but it encodes nothing: the delegate makes the segments, and this joins them."""

    delegate: RenderDelegate
    stops: StopRecord

    def write_frame(self, pixels: Pixels, *, repeat: int = 1) -> None:  # noqa: ARG002
        """Raise Unfit: the engine never calls this, so the scene does."""
        self.stops.raise_stop(Unfit("it writes frames itself"))

    def open_partial_movie_stream(self, **_: Any) -> None:
        """Raise Unfit: the engine never calls this, so the scene does."""
        self.stops.raise_stop(Unfit("it opens video segments itself"))

    def finish(self) -> None:
        """Wait for the chunk renderers, then join their segments."""
        for segment, clips in self.delegate.finish().items():
            self._write_segment(Path(segment), clips)
        super().finish()

    def combine_files(
        self, input_files: list[str], output_file: Path, create_gif: bool = False, includes_sound: bool = False
    ) -> None:
        """Join video files, without decoding the first frame of each as Manim does."""
        if create_gif or output_file.suffix == ".webm":  # Manim encodes the one, and sets the pixel format of the other
            super().combine_files(input_files, output_file, create_gif, includes_sound)
        else:
            output_file.parent.mkdir(parents=True, exist_ok=True)
            join_plays(map(Path, input_files), output_file, f"Rendered with Manim Community v{__version__}")

    def _write_segment(self, segment: Path, clips: tuple[Clip, ...]) -> None:
        if len(clips) == 1:
            clips[0].path.rename(segment)
        else:
            join_clips(clips, segment, self.video_encoder)


def install_delegate(scene: Scene, delegate: RenderDelegate, stops: StopRecord, side_effects: SideEffectGuard) -> None:
    """Replace the classes of the scene's renderer and file writer. From then on they pass frames to the delegate."""
    renderer: Any = scene.renderer
    writer: Any = scene.renderer.file_writer
    renderer.__class__, writer.__class__ = SteppingRenderer, SteppingWriter
    renderer.delegate = writer.delegate = delegate
    renderer.stops = writer.stops = stops
    renderer.side_effects = side_effects


def replace_delegate(scene: Scene, delegate: RenderDelegate) -> None:
    """Replace the scene's delegate, in a process that has just been forked."""
    renderer: Any = scene.renderer
    renderer.delegate = delegate
