from manim import *


class Words(Scene):
    def construct(self):
        self.play(Write(Text("Hello, 世界", font_size=72)), run_time=0.6)
        self.wait(0.3)


class Formula(Scene):
    def construct(self):
        first, second = MathTex("a^2", "+", "b^2"), MathTex("c^2", "=", "a^2", "+", "b^2")
        self.play(FadeIn(first), run_time=0.3)
        self.play(TransformMatchingTex(first, second), run_time=0.5)


class Solid(ThreeDScene):
    def construct(self):
        self.set_camera_orientation(phi=60 * DEGREES, theta=30 * DEGREES)
        self.add(Cube(fill_opacity=0.7))
        self.begin_ambient_camera_rotation(rate=0.8)
        self.wait(0.6)


class Sound(Scene):
    def construct(self):
        self.add_sound("tone.wav", time_offset=0.2)
        self.add_subcaption("a tone", duration=0.5)
        self.play(Create(Circle()), run_time=0.8)
