"""Ten animations, the last of which depends on a variable, and a formula."""

from __future__ import annotations

import os

from manim import LEFT, RIGHT, UP, Circle, MathTex, Scene, Square


class Ten(Scene):
    def construct(self) -> None:
        self.add(MathTex("x^2").shift(UP))
        shape = Square().shift(4 * LEFT)
        for _ in range(9):
            self.play(shape.animate.shift(RIGHT / 2), run_time=0.5)
        self.play(Circle(radius=float(os.environ.get("RADIUS", "1"))).animate.shift(RIGHT), run_time=0.5)
