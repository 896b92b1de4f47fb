"""Reduces what a scene shows to boxes in pixels: texts with their glyphs, and other shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from manim import DecimalNumber, ImageMobject, MarkupText, Mobject, Paragraph, SingleStringMathTex, Text, VMobject
from numpy.typing import NDArray

from renderer.engine.manim_types import Camera, Scene

MOST_SHAPES = 4000  # of one frame
LABEL_LENGTH = 40
_TEXTS = (Text, MarkupText, SingleStringMathTex, DecimalNumber, Paragraph)
_MOVED = 1e-3  # of Manim's units
_VISIBLE = 0.02  # of opacity

Box = NDArray[np.float64]  # left, top, right, bottom in pixels of the frame


@dataclass
class TextShown:
    """A text, formula or number. ``glyphs`` has a row for each: left, top, right, bottom. ``color`` is RGB, 0 to 1.

    ``order`` says what is drawn later; ``opacity`` is that of its fill.
    """

    mobject: Any
    label: str
    glyphs: NDArray[np.float64]
    color: NDArray[np.float64]
    opacity: float
    order: int
    box: Box = field(init=False)

    def __post_init__(self) -> None:
        self.box = np.concatenate([self.glyphs[:, :2].min(axis=0), self.glyphs[:, 2:].max(axis=0)])

    @property
    def height(self) -> float:
        """The usual height of a glyph in pixels: of letters, not of points and strokes."""
        heights = self.glyphs[:, 3] - self.glyphs[:, 1]
        return float(np.median(heights[heights >= heights.max() / 3]))


@dataclass(frozen=True)
class ShapeShown:
    """Another shape. ``is_closed`` is false for lines and curves; ``covers`` is true for one that hides what is below.

    ``parents`` are the mobjects that contain it, outermost first.
    """

    mobject: Any
    box: Box
    is_closed: bool
    covers: bool
    order: int
    parents: tuple[Any, ...]


@dataclass
class Shown:
    """All that one frame shows. ``is_moved`` says that the camera does not show the usual part of space."""

    camera: Camera
    texts: list[TextShown] = field(default_factory=list)
    shapes: list[ShapeShown] = field(default_factory=list)
    left_out: bool = False
    is_moved: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.camera.pixel_width, self.camera.pixel_height


def list_shown(scene: Scene) -> Shown:
    """Return what the scene shows now."""
    from manim import ThreeDCamera, config
    from manim.utils.iterables import list_update

    camera: Any = scene.renderer.camera
    shown = Shown(camera)
    usual = (config.frame_width, config.frame_height)
    moved = np.abs(np.asarray(camera.frame_center)[:2]).max() > _MOVED or abs(camera.frame_width - usual[0]) > _MOVED
    shown.is_moved = bool(moved or isinstance(camera, ThreeDCamera))
    tops = list_update(scene.mobjects, scene.foreground_mobjects)
    order = {id(member): place for place, member in enumerate(camera.get_mobjects_to_display(tops))}
    count = 0
    for top in tops:
        for mobject, parents in _walk(top, ()):
            count += 1
            if count > MOST_SHAPES:
                shown.left_out = True
                return shown
            if isinstance(mobject, _TEXTS):
                if text := _measure_text(camera, mobject, order):
                    shown.texts.append(text)
            elif len(mobject.points) and (shape := _measure_shape(camera, mobject, parents, order)):
                shown.shapes.append(shape)
    return shown


def _walk(mobject: Any, parents: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield texts as a whole, and all other members of a family, each with the mobjects that contain it."""
    yield mobject, parents
    if not isinstance(mobject, _TEXTS):
        for member in mobject.submobjects:
            yield from _walk(member, (*parents, mobject))


def find_label(mobject: Any) -> str:
    """Return what the user calls a mobject: the text in it, or the name of its class."""
    for name in ("original_text", "text", "tex_string", "number"):
        if (value := getattr(mobject, name, None)) is not None:
            text = " ".join(str(value).split())
            return repr(text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…")
    return type(mobject).__name__


def to_pixels(camera: Any, mobject: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where points of a mobject are in the frame: rows of x and y in pixels, y downwards."""
    on_screen = np.asarray(camera.transform_points_pre_display(mobject, points))[:, :2]
    center = np.asarray(camera.frame_center)[:2]
    scale = np.array([camera.pixel_width / camera.frame_width, -camera.pixel_height / camera.frame_height])
    pixels: NDArray[np.float64] = (on_screen - center) * scale + np.array([camera.pixel_width, camera.pixel_height]) / 2
    return pixels


def _measure_box(camera: Any, mobject: Any) -> Box | None:
    pixels = to_pixels(camera, mobject, mobject.points)
    box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
    return box if np.isfinite(box).all() else None


def _measure_text(camera: Any, text: Any, order: dict[int, int]) -> TextShown | None:
    parts = [
        member for member in text.get_family() if len(member.points) and id(member) in order and _is_visible(member)
    ]
    boxes = [(member, box) for member in parts if (box := _measure_box(camera, member)) is not None]
    boxes = [(member, box) for member, box in boxes if (box[2:] > box[:2]).all()]
    if not boxes:
        return None
    first = boxes[0][0]
    rgba = np.asarray(camera.get_fill_rgbas(first))[0] if isinstance(first, VMobject) else np.ones(4)
    return TextShown(
        text,
        find_label(text),
        np.array([box for _, box in boxes]),
        np.asarray(rgba[:3], dtype=float),
        float(rgba[3]),
        max(order[id(member)] for member, _ in boxes),
    )


def _measure_shape(camera: Any, mobject: Any, parents: tuple[Any, ...], order: dict[int, int]) -> ShapeShown | None:
    if id(mobject) not in order or not _is_visible(mobject) or (box := _measure_box(camera, mobject)) is None:
        return None
    is_image = isinstance(mobject, ImageMobject)
    is_closed = is_image or (isinstance(mobject, VMobject) and bool(np.allclose(mobject.points[0], mobject.points[-1])))
    covers = is_image or (isinstance(mobject, VMobject) and float(mobject.get_fill_opacity() or 0) > 0.9)  # noqa: PLR2004
    return ShapeShown(mobject, box, is_closed, covers, order[id(mobject)], parents)


def _is_visible(mobject: Mobject) -> bool:
    if not isinstance(mobject, VMobject):
        return True
    fill, stroke = float(mobject.get_fill_opacity() or 0), float(mobject.get_stroke_opacity() or 0)
    return fill > _VISIBLE or (stroke > _VISIBLE and float(mobject.get_stroke_width() or 0) > 0)
