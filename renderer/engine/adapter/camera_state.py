"""Changes a camera as drawing a frame does, but draws no pixels. Later frames depend on these changes."""

from __future__ import annotations

from collections.abc import Iterable

from manim import MultiCamera, ThreeDCamera, VMobject
from manim.mobject.types.image_mobject import ImageMobjectFromCamera
from manim.utils.family import extract_mobject_family_members

from renderer.engine.manim_types import Camera, Mobject
from renderer.mirrors import mirrors


@mirrors("manim.camera.camera:Camera.capture_mobjects", sha256="234016f9f22cd8e8")
@mirrors("manim.camera.multi_camera:MultiCamera.capture_mobjects", sha256="5ebd75940cc4bd6d")
@mirrors("manim.camera.three_d_camera:ThreeDCamera.capture_mobjects", sha256="11e17b652cb96bcb")
def update_camera(camera: Camera, mobjects: Iterable[Mobject]) -> None:
    """Change the camera as its method ``capture_mobjects`` does, without drawing."""
    if isinstance(camera, ThreeDCamera):
        camera.reset_rotation_matrix()
    if isinstance(camera, MultiCamera) and camera.image_mobjects_from_cameras:
        camera.update_sub_cameras()
        for shown in extract_mobject_family_members(mobjects):
            if isinstance(shown, ImageMobjectFromCamera):
                shown.get_pixel_array()
    _read_textures(camera, mobjects)
    if "display_funcs" not in vars(camera) or not camera.pixel_array_to_cairo_context:
        _make_first_context(camera, camera.get_mobjects_to_display(mobjects))


@mirrors("manim.camera.camera:Camera.display_multiple_background_colored_vmobjects", sha256="6ec394f2466ea319")
@mirrors("manim.camera.camera:BackgroundColoredVMobjectDisplayer", sha256="7cd3d4af6fab3ac1")
def _read_textures(camera: Camera, mobjects: Iterable[Mobject]) -> None:
    """Let the camera read the images that colour shapes. Manim reads an image only when it first draws with it."""
    for shown in mobjects:
        for member in shown.get_family():
            if (image := vars(member).get("background_image")) is not None and len(member.points):
                displayer = camera.get_background_colored_vmobject_displayer()
                displayer.get_background_array(image)
                camera.get_cairo_context(displayer.pixel_array)


def _make_first_context(camera: Camera, displayed: list[Mobject]) -> None:
    """Create what the camera creates when it first draws: its table of display functions, and its Cairo context.

    Manim keeps that context, with the scale that the camera has at this moment.
    """
    if displayed:
        camera.type_or_raise(displayed[-1])
    if any(isinstance(mobject, VMobject) and not mobject.get_background_image() for mobject in displayed):
        camera.get_cairo_context(camera.pixel_array)
