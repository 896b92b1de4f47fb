"""Values that the patched cameras keep while they draw, so that they compute each only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from renderer.engine.manim_types import Camera, Points, VMobject

Lights = tuple[NDArray[Any], NDArray[Any]]


@dataclass(slots=True)
class ShapeValues:
    """What was computed about the shape that is being drawn: its stroke and its fill use the same."""

    gradient: list[float] | None = None
    lights: Lights | None = None


class DrawingCache:
    """Values that are the same for several shapes, for the stroke and the fill of a shape, or in two frames in a row.

    A camera draws the shapes of a frame in groups, and the shapes of a group one after the other.
    """

    def __init__(self) -> None:
        self._axis_gradients: dict[int, dict[tuple[int, ...], Points]] = {}  # by the camera that draws a group
        self._shapes: dict[int, ShapeValues] = {}  # by the camera that draws a shape
        self._last_lights: dict[int, tuple[VMobject, bytes, Lights]] = {}  # by shape; of the group before
        self._lights: dict[int, tuple[VMobject, bytes, Lights]] = {}

    def begin_group(self, camera: Camera) -> None:
        """Keep the gradients of axes from now on."""
        self._axis_gradients[id(camera)] = {}
        self._last_lights, self._lights = self._lights, {}

    def end_group(self, camera: Camera) -> None:
        """Forget the gradients of axes."""
        self._axis_gradients.pop(id(camera), None)

    def begin_shape(self, camera: Camera) -> None:
        """Keep the gradient and the lights of one shape from now on."""
        self._shapes[id(camera)] = ShapeValues()

    def end_shape(self, camera: Camera) -> None:
        """Forget the gradient and the lights of the shape."""
        self._shapes.pop(id(camera), None)

    def get_axis_gradients(self, camera: Camera) -> dict[tuple[int, ...], Points]:
        """Return the gradients of axes in the group that the camera draws, by what they depend on."""
        return self._axis_gradients.get(id(camera), {})

    def get_shape(self, camera: Camera) -> ShapeValues | None:
        """Return what is known of the shape that the camera draws; None where it draws none of Manim's shapes."""
        return self._shapes.get(id(camera))

    def find_lights(self, shape: VMobject, dependencies: bytes) -> Lights | None:
        """Return the lights of the shape in the group before, if they depended on the same."""
        kept = self._last_lights.get(id(shape))
        return kept[2] if kept and kept[0] is shape and kept[1] == dependencies else None

    def keep_lights(self, shape: VMobject, dependencies: bytes, lights: Lights) -> None:
        """Keep the lights of the shape for the group after."""
        self._lights[id(shape)] = (shape, dependencies, lights)
