"""One scene for all formats: it shows half-transparent shapes in plays of several chunks."""

from manim import *


class Formats(Scene):
    def construct(self):
        square, dot = Square(fill_opacity=0.5, color=BLUE), Dot(LEFT * 3)
        self.play(Create(square), run_time=1.1)
        dot.add_updater(lambda m, dt: m.shift(RIGHT * dt))
        self.add(dot)
        self.play(square.animate.shift(RIGHT * np.random.rand()), run_time=0.7)
        self.wait(0.45)
        self.next_section("last")
        self.play(FadeOut(square), run_time=0.9)
