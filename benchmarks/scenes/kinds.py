"""Scenes of the kinds where a parallel render gains least, or could lose."""

from __future__ import annotations

import numpy as np
from manim import PI, RIGHT, UP, Dot, FadeIn, ImageMobject, MathTex, Rotate, Scene, Square, ValueTracker, VGroup, always_redraw


class ShortPlays(Scene):
    """600 plays of six frames at 60 frames per second."""

    def construct(self) -> None:
        dot = Dot()
        self.add(dot, Square())
        for index in range(600):
            self.play(dot.animate.shift(0.005 * RIGHT + 0.00001 * index * UP), run_time=0.1)


class LargeTable(Scene):
    """A scene that keeps a table of 300,000 rows."""

    def construct(self) -> None:
        self.table = [(index, index * 0.5, str(index)) for index in range(300_000)]
        dot = Dot()
        for _ in range(10):
            self.play(dot.animate.shift(0.1 * RIGHT), run_time=0.3)


class ManyDots(Scene):
    """6,000 dots, which all move."""

    def construct(self) -> None:
        places = np.random.default_rng(1).uniform(-4, 4, (6000, 2))
        dots = VGroup(*(Dot([x, y, 0], radius=0.02) for x, y in places))
        self.add(dots)
        self.play(Rotate(dots, PI / 4), run_time=1)


class FormulaInUpdater(Scene):
    """A formula that is typeset again in each frame."""

    def construct(self) -> None:
        value = ValueTracker(0)
        self.add(always_redraw(lambda: MathTex(f"x = {value.get_value():.1f}")))
        self.play(value.animate.set_value(1), run_time=2)


class OneLongPlay(Scene):
    """One play of 8.5 seconds."""

    def construct(self) -> None:
        squares = VGroup(*(Square(0.2 + 0.1 * index) for index in range(30)))
        self.play(Rotate(squares, PI), run_time=8.5)


class MatrixUpdater(Scene):
    """An updater that multiplies matrices of 260 rows, which numpy does with one thread for each core."""

    def construct(self) -> None:
        matrix = np.random.default_rng(0).random((260, 260))

        def step(dot: Dot) -> None:
            product = matrix
            for _ in range(12):
                product = np.tanh(product @ matrix / 1000)
            dot.set_x(product[0, 0] % 1)

        self.add(Dot().add_updater(step))
        self.wait(6, frozen_frame=False)
        self.play(FadeIn(Square()), run_time=2)


class LateThumbnail(Scene):
    """30 plays of 200 shapes, and then a small image of the last frame."""

    def construct(self) -> None:
        places = np.random.default_rng(1).uniform(-3, 3, (200, 2))
        squares = VGroup(*(Square(0.2, fill_opacity=0.5).move_to([x, y, 0]) for x, y in places))
        self.add(squares)
        for index in range(30):
            self.play(Rotate(squares, PI / (20 + index)), run_time=0.5)
        self.play(FadeIn(ImageMobject(self.camera.pixel_array).scale(0.3)), run_time=0.5)
