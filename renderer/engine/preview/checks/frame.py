"""Finds what lies outside of the frame, or is cut off at its edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from renderer.engine.preview.checks.shapes import Box, Shown, find_label

KIND = "outside"
TOLERANCE = 0.005  # of the frame's height


def find_outside(shown: Shown) -> Iterator[tuple[str, str, Any]]:
    """Yield kind, message and mobject of what lies outside.

    Lines and curves may leave the frame, and so may shapes that are larger than it. Where the camera has moved, what
    lies entirely outside was left behind on purpose.
    """
    for text in shown.texts:
        sides = _find_sides(text.box, shown.size)
        if _is_gone(text.box, shown.size):
            if not shown.is_moved:
                yield KIND, f"the text {text.label} lies outside of the frame ({sides})", text.mobject
        elif sides:
            yield KIND, f"the text {text.label} is cut off at the edge of the frame ({sides})", text.mobject
    reported: set[int] = set()
    for shape in shown.shapes:
        gone = _is_gone(shape.box, shown.size)
        if gone and not shown.is_moved:
            whole = next((parent for parent in shape.parents if _is_all_gone(parent, shown)), shape.mobject)
            if id(whole) not in reported:
                reported.add(id(whole))
                where = _find_sides(shape.box, shown.size)
                yield KIND, f"{_describe(whole)} lies outside of the frame ({where})", whole
        elif not gone and shape.is_closed and not _is_larger(shape.box, shown.size):
            owner = shape.parents[0] if len(shape.parents) > 1 else shape.mobject
            if (sides := _find_sides(shape.box, shown.size)) and id(owner) not in reported:
                reported.add(id(owner))
                yield KIND, f"{_describe(shape.mobject)} reaches beyond the frame ({sides})", shape.mobject


def _describe(mobject: Any) -> str:
    return f"the {find_label(mobject)}"


def _is_all_gone(parent: Any, shown: Shown) -> bool:
    """Return whether all shapes of a group lie outside."""
    members = [shape.box for shape in shown.shapes if parent in shape.parents or shape.mobject is parent]
    return bool(members) and all(_is_gone(box, shown.size) for box in members)


def _is_gone(box: Box, size: tuple[int, int]) -> bool:
    return bool(box[2] <= 0 or box[3] <= 0 or box[0] >= size[0] or box[1] >= size[1])


def _is_larger(box: Box, size: tuple[int, int]) -> bool:
    """Return whether a shape is as wide or as high as the frame: then it is a background."""
    return bool(box[2] - box[0] >= size[0] or box[3] - box[1] >= size[1])


def _find_sides(box: Box, size: tuple[int, int]) -> str:
    """Return the edges of the frame that a box crosses, in words."""
    limit = TOLERANCE * size[1]
    beyond = np.array([-box[0], -box[1], box[2] - size[0], box[3] - size[1]]) > limit
    return " and ".join(
        name for name, is_beyond in zip(("left", "top", "right", "bottom"), beyond, strict=True) if is_beyond
    )
