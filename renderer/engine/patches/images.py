"""Faster versions of methods for images that give exactly the same pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from manim import ImageMobject
from manim.utils.bezier import interpolate
from PIL import Image

from renderer.engine.manim_types import Camera
from renderer.mirrors import mirrors
from renderer.video.frame import Pixels
from renderer.video.written_rows import WRITTEN_ROWS

_ROWS = 16  # of an image, whose numbers as floats stay in the processor's cache
_MANIM_INTERPOLATE_COLOR = ImageMobject.interpolate_color


@mirrors("manim.mobject.types.image_mobject:ImageMobject.interpolate_color", sha256="21cea899cdb4d369")
def interpolate_color(self: Any, mobject1: Any, mobject2: Any, alpha: float) -> Any:
    """Mix the pixels of two images, a few rows at a time: all at once, as floats, they need eight times the memory."""
    start, end = mobject1.pixel_array, mobject2.pixel_array
    if not (isinstance(start, np.ndarray) and isinstance(end, np.ndarray) and start.shape == end.shape):
        return _MANIM_INTERPOLATE_COLOR(self, mobject1, mobject2, alpha)
    self.fill_opacity = interpolate(mobject1.fill_opacity, mobject2.fill_opacity, alpha)
    self.stroke_opacity = interpolate(mobject1.stroke_opacity, mobject2.stroke_opacity, alpha)
    self.pixel_array = np.empty(start.shape, self.pixel_array_dtype)
    for first in range(0, len(start), _ROWS):
        rows = slice(first, first + _ROWS)
        self.pixel_array[rows] = interpolate(start[rows], end[rows], alpha).astype(self.pixel_array_dtype)
    return self


@mirrors("manim.camera.camera:Camera.overlay_PIL_image", sha256="705e8062706240e9")
def overlay_image(self: Camera, pixel_array: Pixels, image: Image.Image) -> None:
    """Draw an image over the pixels. Where it is transparent, they are not read or written: they stay the same."""
    if box := image.getbbox():
        left, top, right, bottom = box
        WRITTEN_ROWS.add(top, bottom)
        part = pixel_array[top:bottom, left:right]
        part[:] = np.asarray(Image.alpha_composite(self.get_image(part), image.crop(box)), dtype="uint8")
