"""Scenes that render other scenes."""

from manim import *


class Inner(Scene):
    def construct(self):
        self.next_section("of the inner one")
        self.play(Create(Circle()), run_time=0.5)
        self.add_subcaption("inner", duration=1)
        self.wait(0.4)


class InnerStill(Scene):
    def construct(self):
        self.add(Square(fill_opacity=1))


class RendersOthers(Scene):
    """Has two other scenes rendered between its own plays."""

    def construct(self):
        self.play(Create(Square()), run_time=1.3)
        Inner().render()
        InnerStill().render()
        self.play(FadeIn(Dot()), run_time=0.5)


class RendersOthersAndLooks(RendersOthers):
    """Is rendered serially, when the others have been rendered once."""

    def construct(self):
        super().construct()
        self.play(Create(Circle(radius=1 + self.camera.pixel_array[..., 0].mean() / 100)), run_time=0.3)
