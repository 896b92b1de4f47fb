"""Types for the parts of Manim's objects that the engine uses. Manim has no types that mypy can read.

Does not import Manim, so that modules which only describe a job are fast to import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from renderer.video.encoder_spec import VideoEncoderSpec
from renderer.video.frame import Pixels

Points = NDArray[np.float64]


class Mobject(Protocol):
    """A mobject. ``points`` has rows of x, y, z. Each kind of mobject has more attributes."""

    points: Points
    submobjects: list[Mobject]

    def get_family(self, recurse: bool = True) -> list[Mobject]:
        """Return the mobject and all its descendants."""


class Camera(Protocol):
    """A Cairo camera. ``pixel_array`` is the frame that is drawn: height by width by RGBA bytes."""

    pixel_array: Pixels
    pixel_width: int
    pixel_height: int
    frame_rate: float
    background: Pixels
    use_z_index: bool
    pixel_array_to_cairo_context: dict[int, Any]

    def get_mobjects_to_display(self, mobjects: Iterable[Mobject]) -> list[Mobject]:
        """Return the mobjects that are drawn, in order."""

    def get_image(self, pixel_array: Pixels) -> Any:
        """Return the PIL image of some pixels."""

    def type_or_raise(self, mobject: Mobject) -> type:
        """Return the class by which the camera chooses how to draw the mobject."""

    def get_cairo_context(self, pixel_array: Pixels) -> Any:
        """Return the Cairo context that draws on these pixels."""

    def get_background_colored_vmobject_displayer(self) -> Any:
        """Return the object that draws shapes that are filled with an image."""


class FileWriter(Protocol):
    """A SceneFileWriter."""

    write_frame: Callable[..., None]
    sections: Sequence[Any]
    subcaptions: Sequence[Any]
    settings: Any
    _create_segment_encoder: Callable[[Path], object]


class Renderer(Protocol):
    """A Cairo renderer. ``time`` is in seconds, ``num_plays`` counts the plays that have ended."""

    camera: Camera
    file_writer: FileWriter
    time: float
    num_plays: int
    skip_animations: bool
    static_image: Pixels | None


class Animation(Protocol):
    """An animation of a play; ``run_time`` is in seconds."""

    run_time: float
    mobject: object


class SessionSpec(Protocol):
    """Manim's settings of one render. ``video_encoder`` is None where no video is made."""

    video_encoder: VideoEncoderSpec | None


class OutputPlan(Protocol):
    """Where Manim puts the files of one scene."""

    primary_artifact: Path | None
    fallback_image: Path | None
    subcaption_file: Path | None
    sections_dir: Path | None

    def segment_path(self, name: str) -> Path:
        """Return the path of the play's video file of that name."""


class Scene(Protocol):
    """A scene. ``animations``, ``duration``, moving and static mobjects are those of the current play."""

    renderer: Renderer
    session_spec: SessionSpec
    output_plan: OutputPlan
    manager: object | None
    mobjects: list[Mobject]
    foreground_mobjects: list[Mobject]
    moving_mobjects: list[Mobject]
    static_mobjects: list[Mobject]
    animations: list[Animation]
    duration: float

    def render(self) -> None:
        """Run ``construct`` and make the video."""

    def get_run_time(self, animations: Iterable[Animation]) -> float:
        """Return how long the animations run together, in seconds."""

    def get_moving_mobjects(self, *animations: Animation) -> list[Mobject]:
        """Return the mobjects that the animations or updaters move, and those that are drawn above them."""

    def get_mobject_family_members(self) -> list[Mobject]:
        """Return all mobjects of the scene and their descendants."""

    def is_current_animation_frozen_frame(self) -> bool:
        """Return whether the current play shows one frame that stands still."""

    def compile_animation_data(self, *animations: Any, **options: Any) -> Any:
        """Prepare a play."""

    def begin_animations(self) -> None:
        """Begin the animations of the prepared play."""

    def play_internal(self) -> None:
        """Step the prepared play frame by frame."""


class VMobject(Mobject, Protocol):
    """A mobject that is drawn by cubic Bézier curves: ``points`` has ``n_points_per_cubic_curve`` rows for each."""

    n_points_per_cubic_curve: int
    sheen_factor: float
    shade_in_3d: bool
    tolerance_for_point_equality: float

    def get_subpath_split_indices_from_points(self, points: Points, n_dims: int) -> NDArray[np.int64]:
        """Return the first and the last point (exclusive) of each subpath, a row for each."""

    def consider_points_equals_2d(self, first: Sequence[float], second: Sequence[float]) -> bool:
        """Return whether two points are so close that they are the same."""

    def get_num_points(self) -> int:
        """Return the number of rows of ``points``."""

    def get_gradient_start_and_end_points(self) -> Points:
        """Return the two points between which the colours change."""


class ThreeDCamera(Camera, Protocol):
    """A Cairo camera for three-dimensional scenes. ``light_source`` is a mobject with one point."""

    exponential_projection: bool
    frame_center: Points
    light_source: Mobject
    should_apply_shading: bool

    def transform_points_pre_display(self, mobject: Mobject, points: Points) -> Points:
        """Return the points on the plane of the screen."""

    def get_rotation_matrix(self) -> Points:
        """Return the rotation of space before the projection."""

    def get_focal_distance(self) -> float:
        """Return the distance between the camera and the plane of the screen."""

    def get_zoom(self) -> float:
        """Return the factor by which the frame is enlarged."""
