"""Compares functions of the engine that replace Manim's, and are quicker, with those: they return exactly the same."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import tempfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import cairo
import numpy as np
from manim import (
    BLACK,
    RED,
    Axes,
    Camera,
    Circle,
    ImageMobject,
    ManimColor,
    Mobject,
    NumberPlane,
    PolarPlane,
    Rotate,
    Scene,
    SVGMobject,
    Text,
    ThreeDAxes,
    VMobject,
    tempconfig,
)
from manim.mobject.graphing.scale import LinearBase, LogBase
from manim.mobject.svg.svg_mobject import VMobjectFromSVGPath
from PIL import Image
from svgelements import svgelements

from renderer.engine.adapter.play_key import compute_fingerprint
from renderer.engine.patches import (
    axes,
    deepcopy,
    hashing,
    images,
    installer,
    kept_mobjects,
    mobject,
    svg_files,
    svg_paths,
)
from renderer.engine.patches import camera as camera_patches

MANIM_OVERLAY, MANIM_MIX = Camera.overlay_PIL_image, ImageMobject.interpolate_color
MANIM_SET_PATH, MANIM_SET_COLOR = Camera.set_cairo_context_path, Camera.set_cairo_context_color
GLYPHS = [
    "M 0.5 -2 L 4.25 -2 C 4.5 -1 5 -1.5e-1 6 0 Z M 1 1 L 2 2 Z ",
    "M5.35-2.34C5.46-2.34 5.62-2.3 5.62-2.5H.746V3 4q1 1 2 2t1 1a1 2 0 0 1 3 3zm1 1l2 2S3 3 4 4",
    "",
    "M 1 1 L",
]
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">
<defs><path id="p" d="M0 0 L3 0 A 1 1 0 0 1 0 4 z"/></defs>
<g fill="#f00"><use href="#p" x="1"/><rect x="2" y="3" width="4" height="1" stroke="#00f"/></g>
</svg>"""


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


def compare_drawn_paths() -> None:
    """Compare the paths and colours that cairo gets: of one piece and of many, of few points, and not finite."""
    camera = Camera()
    random = np.random.default_rng(1)
    contexts = [cairo.Context(cairo.ImageSurface(cairo.FORMAT_ARGB32, 9, 9)) for _ in range(2)]
    points = [
        Circle().points, Text("ab").submobjects[0].points, np.zeros((0, 3)), np.full((8, 3), np.inf),
        *(random.normal(size=(count, 3)) for count in (1, 3, 4, 5, 8, 23)), np.full((4, 3), 1e308),
    ]  # fmt: skip
    VMobject.get_subpath_split_indices_from_points = mobject.get_subpath_split_indices_from_points
    for given in points:
        shape = VMobject(fill_opacity=0.3, color=RED)
        shape.points = given
        for context, path, color in zip(
            contexts,
            (camera_patches.set_cairo_context_path, MANIM_SET_PATH),
            (camera_patches.set_cairo_context_color, MANIM_SET_COLOR),
            strict=True,
        ):
            path(camera, context, shape)
            color(camera, context, shape.get_fill_rgbas(), shape)
        ours, manims = contexts
        assert str(ours.copy_path()) == str(manims.copy_path()), given
        assert ours.get_source().get_rgba() == manims.get_source().get_rgba()  # type: ignore[attr-defined]
    VMobject.get_subpath_split_indices_from_points = mobject._MANIM_SPLITS


def compare_lengths() -> None:
    """Compare the lengths of pieces of curves."""
    random = np.random.default_rng(1)
    shape = VMobject()
    for exponent, count, curve in product((-3, 0, 9), (None, 2, 7, 10), (0, 1)):
        shape.points = random.normal(size=(9, 3)) * 10.0**exponent
        found = mobject.get_nth_curve_length_pieces(shape, curve, count)
        expected = mobject._MANIM_PIECES(shape, curve, count)
        assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


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


def compare_overlays() -> None:
    """Compare images over pixels: transparent at the edges, everywhere and nowhere."""
    generator = np.random.default_rng(3)
    camera = Camera(pixel_width=60, pixel_height=40)
    for left, top, right, bottom in ((0, 0, 60, 40), (7, 5, 31, 40), (0, 0, 0, 0), (59, 39, 60, 40)):
        image = generator.integers(0, 256, (40, 60, 4), np.uint8)
        is_inside = np.zeros((40, 60), bool)
        is_inside[top:bottom, left:right] = True
        image[~is_inside, 3] = 0
        pixels = generator.integers(0, 256, (40, 60, 4), np.uint8)
        expected = pixels.copy()
        MANIM_OVERLAY(camera, expected, Image.fromarray(image))
        images.overlay_image(camera, pixels, Image.fromarray(image))
        assert np.array_equal(pixels, expected)


def compare_mixed_images() -> None:
    """Compare images that are mixed: with rows to spare, of 8 and 16 bits, and after the scene gave one floats."""
    generator = np.random.default_rng(4)
    for height, kind in ((40, "uint8"), (7, "uint8"), (19, "uint16")):
        start, end = (
            ImageMobject(generator.integers(0, 256, (height, 9, 4), np.uint8), pixel_array_dtype=kind) for _ in range(2)
        )
        end.set_opacity(0.3)
        for alpha in (0, 0.37, np.float64(0.8), 1):
            expected, mixed = start.copy(), start.copy()
            MANIM_MIX(expected, start, end, alpha)
            images.interpolate_color(mixed, start, end, alpha)
            assert describe(mixed) == describe(expected)
            assert mixed.pixel_array.dtype == expected.pixel_array.dtype
        start.pixel_array = start.pixel_array / 3


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


class Turned(SVGMobject):  # type: ignore[misc]
    """Has a part in what it makes of a file."""

    def path_to_mobject(self, path: svgelements.Path) -> VMobjectFromSVGPath:
        """Return a glyph that is turned."""
        return super().path_to_mobject(path).rotate(1)


def compare_svg_files() -> None:
    """Compare what is made of a file with what Manim makes of it: the first time, again, and after changes."""
    installer.install_patches()
    with tempfile.TemporaryDirectory() as folder, tempconfig({"media_dir": folder}):
        file = Path(folder, "picture.svg")
        file.write_text(PICTURE)
        makers: tuple[Callable[[], SVGMobject], ...] = (
            lambda: Text("same same", t2c={"same": RED}),
            lambda: SVGMobject(file, use_svg_cache=False),
            lambda: SVGMobject(file, use_svg_cache=False, svg_default={**SVGMobject(file).svg_default, "color": RED}),
            lambda: SVGMobject(file, use_svg_cache=False, path_string_config={"stroke_width": 3}),
            lambda: Turned(file, use_svg_cache=False),
        )
        for make in (*makers, *makers):
            expected = make_as_manim(make)
            assert [describe(made) for made in (make(), make(), make(), make().copy())] == [expected] * 4
        assert len(kept_mobjects._kept) == len(makers) - 1, "all but those of Turned"
        VMobject.set_default(z_index=7)
        try:
            assert describe(makers[0]()) == make_as_manim(makers[0])
            assert makers[0]()[0].z_index == 7
        finally:
            VMobject.set_default()
        file.write_text(PICTURE.replace('width="4"', 'width="5"'))
        assert describe(makers[1]()) == make_as_manim(makers[1])
        compare_outlines()


def compare_outlines() -> None:
    """Check that no text shows what the scene does to the outline of a glyph of another one."""
    first, again = Text("ab"), Text("ab")
    expected = describe(again)
    copied, shallow = first.copy(), copy.copy(first[0])
    first[0].path_obj.transform *= "scale(2)"
    assert shallow.path_obj is first[0].path_obj
    assert describe(again) == describe(copied) == describe(Text("ab")) == expected != describe(first)
    assert describe(first.copy()) == describe(first)
    assert type(again[0].path_obj) is svgelements.Path
    again[1].path_obj = None
    del copied[1].path_obj
    assert again[1].path_obj is None
    assert not hasattr(copied[1], "path_obj")
    assert not hasattr(VMobjectFromSVGPath, "path_obj")


def compare_handed_on() -> None:
    """Check that another process would get what this one has kept, and that a damaged file is not used."""
    with tempfile.TemporaryDirectory() as folder:
        kept_mobjects.share_with(Path(folder))
        kept_mobjects.keep(b"key", b"content")
        kept_mobjects.write_new()
        (written,) = Path(folder).iterdir()
        kept_mobjects.keep(b"key", b"other")
        Path(folder, "damaged").write_bytes(written.read_bytes()[:-3])
        kept_mobjects.add_from(Path(folder))
        assert kept_mobjects.find(b"key") == b"content"
        kept_mobjects.keep(b"large", bytes(kept_mobjects.MAX_BYTES))
        assert kept_mobjects.find(b"key") is None


def make_as_manim(make: Callable[[], SVGMobject]) -> object:
    """Return all about a mobject that Manim alone has made."""
    SVGMobject.generate_mobject = svg_files._MANIM_GENERATE
    try:
        return describe(make())
    finally:
        SVGMobject.generate_mobject = svg_files.generate_mobject


def describe(thing: Any) -> object:
    """Return all about a mobject or another object, but for addresses and the numbers that cairo gives its files."""
    if isinstance(thing, np.ndarray):
        return thing.dtype, thing.shape, thing.tobytes(), thing.flags.writeable, thing.flags.c_contiguous
    if isinstance(thing, dict):
        return [(re.sub(r"^surface\d+$", "surface", str(name)), describe(value)) for name, value in thing.items()]
    if isinstance(thing, list | tuple):
        return [describe(item) for item in thing]
    if isinstance(thing, Mobject | ManimColor) or type(thing).__module__ == svgelements.__name__:
        values = {name: getattr(thing, name) for name in vars(thing) if name != "original_id"}
        return type(thing), describe(values)
    return repr(thing)


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
        compare_drawn_paths,
        compare_lengths,
        compare_coordinates,
        compare_sources,
        compare_overlays,
        compare_mixed_images,
        compare_copies,
        compare_svg_files,
        compare_handed_on,
        compare_fingerprints,
    ):
        compare()
