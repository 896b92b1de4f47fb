"""Finds texts that are hard to read: over each other, too small, or too like their background."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.engine.preview.checks.shapes import Shown, TextShown
from renderer.video.frame import Pixels

OVERLAP, SMALL, PALE = "overlap", "small-text", "low-contrast"
LEAST_OVERLAP = 0.15  # of the area of the smaller glyph
LEAST_HEIGHT = 7.0  # pixels of a letter
LEAST_CONTRAST = 3.0  # of WCAG 2.2, for large text: https://www.w3.org/TR/WCAG22/#contrast-minimum
LEAST_DIMMED_CONTRAST = 1.5  # of a text that is partly transparent, which is usually wanted
OPAQUE = 0.9
RING = 3  # pixels around a text that are taken for its background
MOST_TEXTS = 300  # whose overlaps are looked for

Found = Iterator[tuple[str, str, Any]]


def find_overlaps(shown: Shown) -> Found:
    """Yield texts that lie over another text, unless one is transparent, or a shape between them hides it."""
    texts = [text for text in shown.texts if text.opacity >= OPAQUE][:MOST_TEXTS]
    for one, other in combinations(texts, 2):
        if not _boxes_overlap(one, other) or not _glyphs_overlap(one.glyphs, other.glyphs):
            continue
        below, above = sorted((one, other), key=lambda text: text.order)
        if not _is_hidden(below, above, shown) and not _is_same(one, other):
            yield OVERLAP, f"the text {above.label} lies over the text {below.label}", above.mobject


def _boxes_overlap(one: TextShown, other: TextShown) -> bool:
    return bool((one.box[:2] < other.box[2:]).all() and (other.box[:2] < one.box[2:]).all())


def _glyphs_overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether a glyph of one text covers a good part of a glyph of the other."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    smaller = np.minimum(_areas(one)[:, None], _areas(other)[None, :])
    return bool((common > LEAST_OVERLAP * smaller).any())


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return areas


def _is_same(one: TextShown, other: TextShown) -> bool:
    """Return whether both show the same in the same place, which cannot be seen."""
    return one.glyphs.shape == other.glyphs.shape and bool(np.allclose(one.glyphs, other.glyphs, atol=1.0))


def _is_hidden(below: TextShown, above: TextShown, shown: Shown) -> bool:
    """Return whether a filled shape between both texts hides the lower one."""
    return any(
        shape.covers
        and below.order < shape.order < above.order
        and (shape.box[:2] <= below.box[:2] + 1).all()
        and (shape.box[2:] >= below.box[2:] - 1).all()
        for shape in shown.shapes
    )


def find_small(shown: Shown) -> Found:
    """Yield texts whose letters have too few pixels."""
    for text in shown.texts:
        if _is_inside(text, shown) and text.height < LEAST_HEIGHT:
            width, height = shown.size
            size = f"its letters are {text.height:.1f} pixels high at {width}x{height}"
            yield SMALL, f"the text {text.label} is too small to read: {size}", text.mobject


def find_pale(shown: Shown, pixels: Pixels) -> Found:
    """Yield texts whose colour is too like what is around them in the frame."""
    for text in shown.texts:
        if not _is_inside(text, shown):
            continue
        background = _find_background(text, pixels)
        if background is None:
            continue
        color = text.color * text.opacity + background * (1 - text.opacity)
        contrast = _contrast(color, background)
        least = LEAST_CONTRAST if text.opacity >= OPAQUE else LEAST_DIMMED_CONTRAST
        if contrast < least:
            colors = f"{_to_hex(color)} on {_to_hex(background)}"
            ratio = f"its contrast is {contrast:.1f}, and {least:g} is readable"
            yield PALE, f"the text {text.label} is hard to see: {colors}; {ratio}", text.mobject


def _is_inside(text: TextShown, shown: Shown) -> bool:
    width, height = shown.size
    return bool((text.box[2:] > 0).all() and text.box[0] < width and text.box[1] < height)


def _find_background(text: TextShown, pixels: Pixels) -> NDArray[np.float64] | None:
    """Return the usual colour of the pixels around a text, RGB from 0 to 1; None where they are transparent."""
    height, width = pixels.shape[:2]
    left, top = (int(max(0, value - RING)) for value in text.box[:2])
    right, bottom = int(min(width, text.box[2] + RING + 1)), int(min(height, text.box[3] + RING + 1))
    area = pixels[top:bottom, left:right]
    if not area.size:
        return None
    ring = np.concatenate([area[:RING].reshape(-1, 4), area[-RING:].reshape(-1, 4), area[:, :RING].reshape(-1, 4)])
    ring = np.concatenate([ring, area[:, -RING:].reshape(-1, 4)])
    median = np.median(ring, axis=0)
    if median[3] < 255:  # noqa: PLR2004  # a transparent film is shown on something else
        return None
    background: NDArray[np.float64] = median[:3] / 255
    return background


def _contrast(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the contrast ratio of WCAG 2.2, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: NDArray[np.float64]) -> float:
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _to_hex(color: NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(float(value) * 255):02X}" for value in color)
