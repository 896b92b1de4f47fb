"""Puts quicker versions of some of Manim's functions in place: the same bits. What a scene replaced stays."""

from __future__ import annotations

from typing import Any

from manim import Camera, Mobject, ThreeDCamera, VMobject
from manim.mobject.three_d import three_d_utils

from renderer.engine import faster_copy, faster_geometry, faster_painting

_PLACES: list[tuple[Any, str, Any]] = [
    (Mobject, "__deepcopy__", faster_copy.deepcopy_mobject),
    (Mobject, "get_family", faster_geometry.get_family),
    (Mobject, "update", faster_geometry.update),
    (Mobject, "get_critical_point", faster_geometry.get_critical_point),
    (VMobject, "get_points_defining_boundary", faster_geometry.get_points_defining_boundary),
    (VMobject, "get_subpath_split_indices_from_points", faster_geometry.get_subpath_split_indices_from_points),
    (three_d_utils, "get_3d_vmob_unit_normal", faster_geometry.get_3d_vmob_unit_normal),
    (Camera, "set_cairo_context_path", faster_painting.set_cairo_context_path),
    (Camera, "set_cairo_context_color", faster_painting.set_cairo_context_color),
    (ThreeDCamera, "get_mobjects_to_display", faster_painting.get_mobjects_to_display),
    (ThreeDCamera, "display_vectorized", faster_painting.display_vectorized),
    (ThreeDCamera, "modified_rgbas", faster_painting.modified_rgbas),
    (ThreeDCamera, "project_points", faster_painting.project_points),
]


def install() -> None:
    """Replace what is still Manim's own in this process and those forked from it."""
    for owner, name, quicker in _PLACES:
        current = vars(owner).get(name)
        if current is None or (current.__module__.startswith("manim.") and not hasattr(current, "__wrapped__")):
            setattr(owner, name, quicker)
    for kind in filter(faster_copy.plain, faster_copy.CLASSES):
        kind.__deepcopy__ = faster_copy.deepcopy_plain
