"""Scenes whose videos have other frames than their plays, and one that nests deeply."""

from manim import Circle, Create, FadeIn, Scene, Square, VGroup, config


class Skips(Scene):
    def construct(self):
        self.next_section("skipped", skip_animations=True)
        self.play(Create(Square()), run_time=0.5)
        self.next_section("shown")
        self.play(Create(Circle()), run_time=0.5)
        self.wait(0.3)


class SkipsSerially(Skips):
    def construct(self):
        self.camera.get_image()
        super().construct()


class Starts(Scene):
    def construct(self):
        config.from_animation_number = 1
        self.play(Create(Square()), run_time=0.5)
        self.play(Create(Circle()), run_time=0.5)


class Slows(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=1)
        config.frame_rate = 5
        self.play(Create(Circle()), run_time=1)


class Nests(Scene):
    def construct(self):
        group = VGroup(Square())
        for _ in range(241):
            group = VGroup(group)
        self.play(FadeIn(group), run_time=0.2)
