"""Puts quicker versions of some of Manim's functions in place: the same bits. What a scene replaced stays."""

from __future__ import annotations

from typing import Any

from manim import Camera, Mobject, ThreeDCamera, VMobject
from manim.mobject import mobject
from manim.mobject.three_d import three_d_utils
from manim.utils import hashing, paths, space_ops

from renderer.engine import faster_copy, faster_geometry, faster_hashing, faster_painting

PLACES: list[tuple[Any, str, Any]] = [
    (Mobject, "__deepcopy__", faster_copy.deepcopy_mobject),
    (Mobject, "get_family", faster_geometry.get_family),
    (Mobject, "family_members_with_points", faster_geometry.family_members_with_points),
    (Mobject, "update", faster_geometry.update),
    (Mobject, "get_critical_point", faster_geometry.get_critical_point),
    (VMobject, "get_points_defining_boundary", faster_geometry.get_points_defining_boundary),
    (VMobject, "get_subpath_split_indices_from_points", faster_geometry.get_subpath_split_indices_from_points),
    (three_d_utils, "get_3d_vmob_unit_normal", faster_geometry.get_3d_vmob_unit_normal),
    (mobject, "rotation_matrix", faster_geometry.rotation_matrix),
    (space_ops, "rotation_matrix", faster_geometry.rotation_matrix),
    (paths, "rotation_matrix", faster_geometry.rotation_matrix),
    (Camera, "transform_points_pre_display", faster_painting.transform_points_pre_display),
    (Camera, "set_cairo_context_path", faster_painting.set_cairo_context_path),
    (Camera, "set_cairo_context_color", faster_painting.set_cairo_context_color),
    (ThreeDCamera, "get_mobjects_to_display", faster_painting.get_mobjects_to_display),
    (ThreeDCamera, "display_multiple_non_background_colored_vmobjects", faster_painting.display_vmobjects),
    (ThreeDCamera, "display_vectorized", faster_painting.display_vectorized),
    (ThreeDCamera, "modified_rgbas", faster_painting.modified_rgbas),
    (ThreeDCamera, "project_points", faster_painting.project_points),
    (hashing, "_hash_ndarray", faster_hashing.hash_ndarray),
    (hashing._CustomEncoder, "default", faster_hashing.default),  # noqa: SLF001
    (hashing._CustomEncoder, "_cleaned_iterable", faster_hashing.cleaned_iterable),  # noqa: SLF001
    (hashing._Memoizer, "check_already_processed", faster_hashing.check_already_processed),  # noqa: SLF001
]


def install() -> None:
    """Replace what is still Manim's own in this process and those forked from it."""
    for owner, name, quicker in PLACES:
        current = vars(owner).get(name)
        if current is None or (current.__module__.startswith("manim.") and not hasattr(current, "__wrapped__")):
            setattr(owner, name, quicker)
    for kind in filter(faster_copy.plain, faster_copy.CLASSES):
        kind.__deepcopy__ = faster_copy.deepcopy_plain
