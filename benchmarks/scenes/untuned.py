"""Ten scenes of different kinds, which were written to be measured, and for which nothing was tuned."""

from __future__ import annotations

import numpy as np
from manim import (
    BLUE,
    DEGREES,
    DOWN,
    GREEN,
    LEFT,
    ORIGIN,
    PI,
    RED,
    RIGHT,
    TAU,
    UP,
    YELLOW,
    Arrow,
    Axes,
    Circle,
    Code,
    Create,
    Dot,
    FadeIn,
    FadeOut,
    ImageMobject,
    LaggedStart,
    MathTex,
    MovingCameraScene,
    NumberPlane,
    Rectangle,
    Rotate,
    Scene,
    Square,
    Surface,
    Table,
    Text,
    ThreeDAxes,
    ThreeDScene,
    TracedPath,
    Transform,
    ValueTracker,
    VGroup,
    Write,
    always_redraw,
    linear,
)

SOURCE = """\
def quicksort(items):
    if len(items) < 2:
        return items
    pivot = items[len(items) // 2]
    lower = [item for item in items if item < pivot]
    equal = [item for item in items if item == pivot]
    upper = [item for item in items if item > pivot]
    return quicksort(lower) + equal + quicksort(upper)
"""


class Updaters(Scene):
    """120 arrows that each look at a dot that moves."""

    def construct(self) -> None:
        dot = Dot(color=YELLOW)
        for x in range(-6, 6):
            for y in range(-5, 5):
                start = np.array([x + 0.5, 0.7 * y, 0.0])
                arrow = Arrow(start, start + 0.5 * RIGHT, buff=0)
                arrow.add_updater(lambda item: item.set_angle(np.arctan2(*(dot.get_center() - item.get_start())[1::-1])))
                self.add(arrow)
        self.add(dot)
        self.play(dot.animate.move_to(4 * RIGHT + 2 * UP), run_time=1.5)
        self.play(Rotate(dot, PI, about_point=ORIGIN), run_time=1.5)


class TrackedPlot(Scene):
    """A graph that is plotted anew in each frame."""

    def construct(self) -> None:
        axes = Axes(x_range=[-4, 4], y_range=[-2, 2])
        phase = ValueTracker(0)
        graph = always_redraw(lambda: axes.plot(lambda x: np.sin(2 * x + phase.get_value()), color=BLUE))
        area = always_redraw(lambda: axes.get_area(graph, x_range=(-2, 2), opacity=0.4))
        self.play(Create(axes))
        self.add(graph, area)
        self.play(phase.animate.set_value(TAU), run_time=3, rate_func=linear)


class Images(Scene):
    """Images that move, turn and fade."""

    def construct(self) -> None:
        random = np.random.default_rng(2)
        images = [ImageMobject(random.integers(0, 255, (40, 60, 3), dtype=np.uint8)) for _ in range(6)]
        for index, image in enumerate(images):
            image.height = 2
            image.move_to((index % 3 - 1) * 4 * RIGHT + (index // 3 - 0.5) * 3 * UP)
        self.play(LaggedStart(*(FadeIn(image) for image in images)))
        self.play(*(image.animate.shift(0.5 * DOWN).scale(0.8) for image in images))
        self.play(*(Rotate(image, PI / 3) for image in images))


class BigTable(Scene):
    """A table of 16 rows and 8 columns."""

    def construct(self) -> None:
        rows = [[str(row * column) for column in range(1, 9)] for row in range(1, 17)]
        table = Table(rows, include_outer_lines=True).scale_to_fit_height(7)
        self.play(Create(table), run_time=3)
        self.play(table.animate.set_color(GREEN))
        self.play(FadeOut(table))


class TurningSurface(ThreeDScene):
    """A surface with light, around which the camera turns."""

    def construct(self) -> None:
        self.set_camera_orientation(phi=70 * DEGREES, theta=-30 * DEGREES)
        surface = Surface(
            lambda u, v: np.array([u, v, np.sin(u) * np.cos(v)]), u_range=(-3, 3), v_range=(-3, 3), resolution=16
        )
        self.add(ThreeDAxes(), surface)
        self.begin_ambient_camera_rotation(rate=0.5)
        self.wait(2)
        self.stop_ambient_camera_rotation()
        self.play(surface.animate.scale(0.5))


class Listing(Scene):
    """Source code that is written, and marked line by line."""

    def construct(self) -> None:
        code = Code(code_string=SOURCE, language="python").scale_to_fit_width(12)
        self.play(Write(code), run_time=2)
        mark = Rectangle(color=YELLOW, width=12, height=0.4)
        for line in code.code_lines:
            self.play(mark.animate.move_to(line), run_time=0.4)


class RedrawnFormula(Scene):
    """A formula with ten values, typeset anew in each frame."""

    def construct(self) -> None:
        value = ValueTracker(0)
        self.add(always_redraw(lambda: MathTex(rf"\int_0^{{{int(value.get_value())}}} x^2\,dx = \frac{{a}}{{3}}")))
        self.play(value.animate.set_value(9), run_time=3, rate_func=linear)


class NestedGroups(Scene):
    """Groups in groups, five deep, that turn about each other's centres."""

    def construct(self) -> None:
        group = VGroup(Square(0.2, color=RED), Circle(0.1, color=BLUE))
        for depth in range(5):
            group = VGroup(*(group.copy().shift(direction * 1.6 / 1.7**(4 - depth)) for direction in (LEFT, RIGHT, UP)))
        group.scale_to_fit_height(6).center()
        self.play(FadeIn(group))
        self.play(*(Rotate(part, PI / 2) for part in group), run_time=2)


class CameraZooms(MovingCameraScene):
    """A camera that zooms to words on a plane, and out again."""

    def construct(self) -> None:
        words = VGroup(*(Text(word) for word in ("near", "far", "wide"))).arrange(RIGHT, buff=3)
        self.add(NumberPlane(), words)
        self.camera.frame.save_state()
        for word in words:
            self.play(self.camera.frame.animate.move_to(word).set(width=word.width * 2))
            self.play(self.camera.frame.animate.restore() if word is words[-1] else word.animate.set_color(RED))


class Traces(Scene):
    """Lines without fill: paths that dots leave, and curves that turn into others."""

    def construct(self) -> None:
        dots = VGroup(*(Dot(RIGHT * (1 + index / 2), radius=0.05) for index in range(5)))
        paths = [TracedPath(dot.get_center, stroke_width=2, stroke_color=BLUE) for dot in dots]
        self.add(dots, *paths)
        self.play(*(Rotate(dot, (index + 1) * PI / 2, about_point=ORIGIN) for index, dot in enumerate(dots)), run_time=2)
        for path in paths:
            path.clear_updaters()
        self.play(*(Transform(path, Circle(1 + index / 2)) for index, path in enumerate(paths)))
