"""A scene with a plugin of its time: https://github.com/drageelr/manim-data-structures."""

from manim import *
from manim_data_structures import MArray


class Values(MovingCameraScene):
    def construct(self):
        print("said", config.pixel_width, config.frame_rate)
        array = MArray(self, [1, 2, 3], label="Array")
        self.play(Create(array), run_time=0.5)
        array.append_elem(4)
        self.next_section("near")
        self.add_subcaption("nearer", duration=0.3)
        self.play(self.camera.frame.animate.scale(0.5), Write(MathTex(r"\frac{a}{b}")), run_time=0.5)


class Wrong(Scene):
    def construct(self):
        self.play(Create(MathTex(r"\nosuch")))
