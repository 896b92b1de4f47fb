"""Sixty plays of one second, of which CHANGED changes one."""

import os

from manim import *


class Sixty(Scene):
    def construct(self):
        title = MathTex(r"\sum_{n=1}^{\infty} \frac{1}{n^2} = \frac{\pi^2}{6}").to_edge(UP)
        dots = VGroup(*(Dot(radius=0.06, color=BLUE) for _ in range(150))).arrange_in_grid(10, 15)
        self.add(title, dots)
        for number in range(60):
            angle = 0.5 if number == 30 and os.environ.get("CHANGED") else PI / 5 + number / 100
            self.play(Rotate(dots, angle, rate_func=there_and_back), run_time=1)
