"""Sixty plays of one second, of which CHANGED changes one."""

import os

from manim import *


class Sixty(Scene):
    def construct(self):
        title = MathTex(r"\sum_{n=1}^{\infty} \frac{1}{n^2} = \frac{\pi^2}{6}").to_edge(UP)
        plane = NumberPlane().set_opacity(0.4)
        self.add(plane, title)
        for number in range(60):
            turn = 2.0 if number == 30 and os.environ.get("CHANGED") else 1 + number / 60
            shape = RegularPolygon(3 + number % 5, fill_opacity=0.6, color=BLUE).scale(1.5)
            self.play(Rotate(shape, turn), title.animate(rate_func=there_and_back).set_color(YELLOW), run_time=1)
            self.remove(shape)
