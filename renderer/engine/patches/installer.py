"""Replaces functions of Manim by the faster ones. A function that the scene replaced is not touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manim import Axes, Camera, ImageMobject, Mobject, NumberLine, Scene, SVGMobject, ThreeDCamera, VMobject
from manim.mobject import mobject
from manim.mobject.svg.svg_mobject import VMobjectFromSVGPath
from manim.mobject.three_d import three_d_utils
from manim.utils import hashing, paths, space_ops
from svgelements import svgelements

from renderer.engine.patches import axes as axes_patches
from renderer.engine.patches import camera as camera_patches
from renderer.engine.patches import deepcopy as deepcopy_patches
from renderer.engine.patches import hashing as hashing_patches
from renderer.engine.patches import images, outlines, svg_files, svg_paths
from renderer.engine.patches import mobject as mobject_patches
from renderer.engine.patches import scene as scene_patches

# (class or module of Manim, name in it, replacement)
PATCHES: tuple[tuple[object, str, Callable[..., Any]], ...] = (
    (Mobject, "__deepcopy__", deepcopy_patches.deepcopy_mobject),
    (Mobject, "get_family", mobject_patches.get_family),
    (Mobject, "family_members_with_points", mobject_patches.family_members_with_points),
    (Mobject, "update", mobject_patches.update),
    (Mobject, "get_critical_point", mobject_patches.get_critical_point),
    (VMobject, "interpolate_color", mobject_patches.interpolate_color),
    (VMobject, "generate_rgbas_array", mobject_patches.generate_rgbas_array),
    (VMobject, "get_points_defining_boundary", mobject_patches.get_points_defining_boundary),
    (VMobject, "get_subpath_split_indices_from_points", mobject_patches.get_subpath_split_indices_from_points),
    (VMobject, "get_nth_curve_length_pieces", mobject_patches.get_nth_curve_length_pieces),
    (three_d_utils, "get_3d_vmob_unit_normal", mobject_patches.get_3d_vmob_unit_normal),
    (mobject, "rotation_matrix", mobject_patches.rotation_matrix),
    (space_ops, "rotation_matrix", mobject_patches.rotation_matrix),
    (paths, "rotation_matrix", mobject_patches.rotation_matrix),
    (Axes, "coords_to_point", axes_patches.coords_to_point),
    (NumberLine, "point_to_number", axes_patches.point_to_number),
    (Camera, "transform_points_pre_display", camera_patches.transform_points_pre_display),
    (Camera, "display_vectorized", camera_patches.display_shape),
    (Camera, "display_point_cloud", camera_patches.display_point_cloud),
    (Camera, "set_pixel_array", camera_patches.set_pixel_array),
    (Camera, "set_cairo_context_path", camera_patches.set_cairo_context_path),
    (Camera, "set_cairo_context_color", camera_patches.set_cairo_context_color),
    (Camera, "overlay_PIL_image", images.overlay_image),
    (ImageMobject, "interpolate_color", images.interpolate_color),
    (ThreeDCamera, "get_mobjects_to_display", camera_patches.get_mobjects_to_display),
    (ThreeDCamera, "display_multiple_non_background_colored_vmobjects", camera_patches.display_vmobjects),
    (ThreeDCamera, "display_vectorized", camera_patches.display_vectorized),
    (ThreeDCamera, "modified_rgbas", camera_patches.modified_rgbas),
    (ThreeDCamera, "project_points", camera_patches.project_points),
    (SVGMobject, "generate_mobject", svg_files.generate_mobject),
    (Scene, "update_to_time", scene_patches.update_to_time),
    (hashing, "_hash_ndarray", hashing_patches.hash_ndarray),
    (hashing._CustomEncoder, "default", hashing_patches.default),  # noqa: SLF001
    (hashing._CustomEncoder, "_cleaned_iterable", hashing_patches.cleaned_iterable),  # noqa: SLF001
    (hashing._Memoizer, "check_already_processed", hashing_patches.check_already_processed),  # noqa: SLF001
)


def install_patches() -> None:
    """Install the patches in this process and in those that are forked from it later."""
    for owner, name, faster in PATCHES:
        current = vars(owner).get(name)
        if current is None or (current.__module__.startswith("manim.") and not hasattr(current, "__wrapped__")):
            setattr(owner, name, faster)
    if outlines.ATTRIBUTE not in vars(VMobjectFromSVGPath):
        setattr(VMobjectFromSVGPath, outlines.ATTRIBUTE, outlines.PathAttribute())
    for name, faster in (("parse", svg_paths.parse), ("reify", svg_paths.reify)):
        if getattr(svgelements.Path, name).__module__ == svgelements.__name__:
            setattr(svgelements.Path, name, faster)
    for kind in filter(deepcopy_patches.is_plain, deepcopy_patches.PLAIN_CLASSES):
        deepcopy_patches.copy_plainly(kind)
