"""A talk with slides, as in the examples of manim-slides."""

from manim import *
from manim_slides import Slide


class Talk(Slide):
    def construct(self):
        square = Square()
        self.play(Create(square), run_time=0.5)
        self.next_slide(loop=True)
        self.play(Rotate(square, PI), run_time=0.5)
        self.next_slide()
        self.play(FadeOut(square), run_time=0.3)
