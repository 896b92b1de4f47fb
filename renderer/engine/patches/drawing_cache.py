"""Values that the patched cameras compute once and use for several shapes or frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from renderer.engine.manim_types import Camera, Points, VMobject

Lights = tuple[NDArray[Any], NDArray[Any]]


@dataclass(slots=True)
class ShapeValues:
    """The values of the shape that is being drawn; its stroke and its fill use the same."""

    gradient: list[float] | None = None
    lights: Lights | None = None


class DrawingCache:
    """Keeps gradients and lights while they are the same.

    The gradient of an axis is kept for one group of shapes, the gradient and the lights of a shape for its stroke and
    its fill, and the lights also for the next frame. A camera draws the shapes of a frame in groups.
    """

    def __init__(self) -> None:
        self._axis_gradients: dict[int, dict[tuple[int, ...], Points]] = {}  # by the camera that draws a group
        self._shapes: dict[int, ShapeValues] = {}  # by the camera that draws a shape
        self._last_lights: dict[int, tuple[VMobject, bytes, Lights]] = {}  # by shape; from the previous group
        self._lights: dict[int, tuple[VMobject, bytes, Lights]] = {}

    def begin_group(self, camera: Camera) -> None:
        """Start to keep gradients of axes. The lights so far become those of the previous group."""
        self._axis_gradients[id(camera)] = {}
        self._last_lights, self._lights = self._lights, {}

    def end_group(self, camera: Camera) -> None:
        """Forget the gradients of axes."""
        self._axis_gradients.pop(id(camera), None)

    def begin_shape(self, camera: Camera) -> None:
        """Start to keep the gradient and the lights of one shape."""
        self._shapes[id(camera)] = ShapeValues()

    def end_shape(self, camera: Camera) -> None:
        """Forget the gradient and the lights of the shape."""
        self._shapes.pop(id(camera), None)

    def get_axis_gradients(self, camera: Camera) -> dict[tuple[int, ...], Points]:
        """Return the gradients of axes in the group that the camera draws, by ``identify_axis_gradient``."""
        return self._axis_gradients.get(id(camera), {})

    def get_shape(self, camera: Camera) -> ShapeValues | None:
        """Return the values of the shape that the camera draws; None if nothing may be kept for it."""
        return self._shapes.get(id(camera))

    def find_lights(self, shape: VMobject, dependencies: bytes) -> Lights | None:
        """Return the lights of the shape from the previous group; None if their ``dependencies`` were different."""
        kept = self._last_lights.get(id(shape))
        return kept[2] if kept and kept[0] is shape and kept[1] == dependencies else None

    def keep_lights(self, shape: VMobject, dependencies: bytes, lights: Lights) -> None:
        """Keep the lights of the shape for the next group."""
        self._lights[id(shape)] = (shape, dependencies, lights)
