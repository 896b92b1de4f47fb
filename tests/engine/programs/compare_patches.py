"""Compares functions of the engine that replace Manim's, and are quicker, with those: they return exactly the same."""

from __future__ import annotations

import copy
import inspect
import pickle
import tempfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from manim import BLACK, RED, Axes, Circle, ManimColor, NumberPlane, PolarPlane, Rotate, Scene, ThreeDAxes, VMobject
from manim.mobject.graphing.scale import LinearBase, LogBase
from svgelements import svgelements

from renderer.engine.adapter.play_key import compute_fingerprint
from renderer.engine.patches import axes, deepcopy, hashing, mobject, svg_paths

GLYPHS = [
    "M 0.5 -2 L 4.25 -2 C 4.5 -1 5 -1.5e-1 6 0 Z M 1 1 L 2 2 Z ",
    "M5.35-2.34C5.46-2.34 5.62-2.3 5.62-2.5H.746V3 4q1 1 2 2t1 1a1 2 0 0 1 3 3zm1 1l2 2S3 3 4 4",
    "",
    "M 1 1 L",
]


def parse(function: object, text: str) -> svgelements.Path:
    """Return a new path with the text, and the error that it raised."""
    path = svgelements.Path()
    try:
        function(path, text)  # type: ignore[operator]
    except (TypeError, ValueError) as error:
        path.error = type(error)
    return path


def compare_paths() -> None:
    """Compare a path that is parsed again, which is a new one, with svgelements'."""
    for text in GLYPHS:
        expected = parse(svg_paths._SVGELEMENTS_PARSE, text)
        first, second = parse(svg_paths.parse, text), parse(svg_paths.parse, text)
        assert pickle.dumps(first) == pickle.dumps(second) == pickle.dumps(expected), text
        for path, reify in ((second, svg_paths.reify), (expected, svg_paths._SVGELEMENTS_REIFY)):
            path.transform = svgelements.Matrix("translate(1.1, -7) rotate(0.7) scale(3.3)")
            reify(path)
        assert pickle.dumps(second) == pickle.dumps(expected), text
        assert pickle.dumps(copy.deepcopy(second)) == pickle.dumps(expected), text
        expected = parse(svg_paths._SVGELEMENTS_PARSE, text)
        assert pickle.dumps(parse(svg_paths.parse, text)) == pickle.dumps(expected), text
    joined = svgelements.Path("M 7 7")
    svg_paths.parse(joined, GLYPHS[0])
    assert joined == svgelements.Path("M 7 7 " + GLYPHS[0])


def compare_colours() -> None:
    """Compare the colours of shapes."""
    shape = VMobject()
    colours = (None, RED, BLACK, ManimColor("#12345678"), "#00ff00", [RED, BLACK])
    for colour, opacity, shape.sheen_factor in product(colours, (None, 0, 1, 0.3, np.float64(0.7)), (0, 0.2)):
        found = mobject.generate_rgbas_array(shape, colour, opacity)
        expected = mobject._MANIM_RGBAS(shape, colour, opacity)
        assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def compare_splits() -> None:
    """Compare where paths are split: at points that are apart, nearly equal, infinite or not a number."""
    random = np.random.default_rng(1)
    shape = VMobject()
    for shape.tolerance_for_point_equality, count in product((1e-6, 0.0), (0, 1, 3, 4, 5, 8, 23, 40, 400)):
        for apart in (0.0, 1e-7, 1e-5, 1.0, np.nan, np.inf):
            points = random.normal(size=(count, 3)) * random.choice([1e-3, 1, 1e6])
            starts = points[4::4]
            starts[:] = points[3::4][: len(starts)]
            starts[random.random(starts.shape) < 0.2] += apart
            points[:, 2] *= random.choice([0, 1])
            for n_dims, kind in product((2, 3), (np.float64, np.float32)):
                given = points.astype(kind)
                found = mobject.get_subpath_split_indices_from_points(shape, given, n_dims)
                assert (found == mobject._MANIM_SPLITS(shape, given, n_dims)).all()
                assert found.shape == mobject._MANIM_SPLITS(shape, given, n_dims).shape


def compare_coordinates() -> None:
    """Compare the points of coordinates: of one and of many, on axes of several kinds, turned and with other tips."""
    every = (
        Axes(x_range=[-4, 7, 0.3], y_range=[1, 3]),
        Axes(x_range=[2, 3], y_range=[-5, -1], tips=False).rotate(0.3).shift([0.1, 7, 1e-9]),
        Axes(x_range=[-1, 1], y_range=[0, 2], y_axis_config={"scaling": LogBase()}),
        Axes(x_axis_config={"scaling": LinearBase(0.7)}, y_axis_config={"scaling": LinearBase(3)}),
        NumberPlane(),
        ThreeDAxes().rotate(1, axis=[1, 2, 3]),
        PolarPlane(),
    )
    odd = (0, 1, -2, 0.1, 1 / 3, np.float64(0.7), 1e300, np.inf, np.nan, np.float32(0.3), True, 2**60, np.int64(3))
    given = [*product(odd, odd), (1.5,), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4), ([1, 2, 3], [4, 5, 6]), ([0.1, 2],)]
    for system, coords in product(every, given):
        found, expected = (
            call(function, system, coords) for function in (axes.coords_to_point, axes._MANIM_COORDS_TO_POINT)
        )
        assert found == expected, (system, coords)
    points = [(0, 0, 0), [0.1, -7, 1 / 3], np.array([1e300, 1, 2]), (np.nan, 0, 1), (1, 2), 5, [[1, 2, 3], [4, 5, 6.5]]]
    for system, point in product(every, points):
        for line in system.axes:
            found = call(axes.point_to_number, line, [point])
            assert found == call(axes._MANIM_POINT_TO_NUMBER, line, [point]), (line, point)
            assert found == call(axes.point_to_number, line, [point]), (line, point)


def call(function: Callable[..., Any], system: object, coords: Sequence[object]) -> object:
    """Return all about the array that the function returns, or the class of its error."""
    try:
        with np.errstate(all="ignore"):
            point = function(system, *coords)
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        return type(error)
    return type(point), point.dtype, point.shape, point.tobytes(), point.flags.writeable


def compare_sources() -> None:
    """Compare the source of functions, before and after their file changes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "changing.py")
        for text in (
            "twice = lambda x: (\n    2 * x\n)\n",
            "def twice(x):\n    return 3 * x\n\n\nother = 1\n",
            "from contextlib import contextmanager\n@contextmanager\ndef twice(x):\n    yield 4 * x\n",
            "class Twice:\n    def twice(self, x):\n        return 5 * x\ntwice = Twice().twice\n",
        ):
            file.write_text(text)
            names: dict[str, FunctionType | MethodType] = {}
            exec(compile(text, str(file), "exec"), names)  # noqa: S102
            assert hashing._get_source(names["twice"]) == hashing._get_source(names["twice"])
            assert hashing._get_source(names["twice"]) == inspect.getsource(names["twice"])


def compare_copies() -> None:
    """Compare copies of what refers to the same object twice, and to itself."""
    point = svgelements.Point(1, 2)
    line = svgelements.Line(point, (3, 4))
    line.extra = {"shared": line.end, 1: [line.start, (line.end,), np.arange(3)]}
    line.itself = line
    expected = copy.deepcopy(line)
    found = deepcopy.deepcopy_plain(line, {})
    assert pickle.dumps(found) == pickle.dumps(expected)
    assert found.itself is found
    assert found.extra["shared"] is found.end is not line.end
    assert found.extra[1][1][0] is found.end


def compare_fingerprints() -> None:
    """Compare plays whose animations have other numbers."""

    def fingerprint(angle: float) -> tuple[float, ...]:
        scene = Scene()
        scene.compile_animation_data(Rotate(Circle(), angle))
        return compute_fingerprint(scene)

    assert fingerprint(0.5) == fingerprint(0.5) != fingerprint(0.75)


if __name__ == "__main__":
    for compare in (
        compare_paths,
        compare_colours,
        compare_splits,
        compare_coordinates,
        compare_sources,
        compare_copies,
        compare_fingerprints,
    ):
        compare()
