"""A film for benchmarks of long scenes: text, formulas, updaters, a 3D part, sound. FILM_MINUTES is its length."""

from __future__ import annotations

import math
import os
import random
import struct
import wave

import numpy as np
from manim import (
    BLUE,
    DEGREES,
    LEFT,
    RIGHT,
    UP,
    Axes,
    Circle,
    Create,
    Dot,
    FadeIn,
    FadeOut,
    ImageMobject,
    MathTex,
    ReplacementTransform,
    Scene,
    Sphere,
    Text,
    ThreeDScene,
    VGroup,
    Write,
)

MINUTES = float(os.environ.get("FILM_MINUTES", "3"))
ROUND_S = 20  # of video
STILL_S = 5  # of a play of ``Still``


class Film(ThreeDScene):
    """As many rounds of the same four parts, with other numbers, as fill the time."""

    def construct(self) -> None:
        """Show the rounds, with a sound at the beginning of each."""
        with wave.open("tone.wav", "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(n / 5))) for n in range(4000)))
        for number in range(max(1, round(MINUTES * 60 / ROUND_S))):
            self.add_sound("tone.wav")
            self.show_words(number)
            self.show_curve()
            self.show_solid()

    def show_words(self, number: int) -> None:
        """Seven seconds of text and a formula."""
        title = Text(f"Part {number}").to_edge(UP)
        formula = MathTex(rf"\int_0^{{{number + 1}}} x^2\,dx = \frac{{{(number + 1) ** 3}}}{{3}}")
        other = MathTex(rf"\sum_{{k=1}}^{{{number + 1}}} k = {(number + 1) * (number + 2) // 2}")
        self.play(Write(title), run_time=1)
        self.play(Write(formula), run_time=2)
        self.wait(1)
        self.play(ReplacementTransform(formula, other), run_time=2)
        self.play(FadeOut(title, other), run_time=1)

    def show_curve(self) -> None:
        """Seven seconds of dots with updaters."""
        axes = Axes(x_range=(-4, 4), y_range=(-2, 2))
        dots = VGroup(*(Dot(LEFT * 3 + UP * random.uniform(-1, 1), color=BLUE) for _ in range(30)))  # noqa: S311
        dots.add_updater(lambda group, dt: group.shift(RIGHT * dt))
        self.play(Create(axes), run_time=1)
        self.add(dots)
        self.wait(5)
        dots.clear_updaters()
        self.play(FadeOut(axes, dots), run_time=1)

    def show_solid(self) -> None:
        """Six seconds in space."""
        ball = Sphere(radius=1.2, resolution=(12, 12))
        self.play(FadeIn(ball), run_time=1)
        self.move_camera(phi=60 * DEGREES, theta=30 * DEGREES, run_time=2)
        self.play(Create(ring := Circle(radius=2)), run_time=1)
        self.move_camera(phi=0, theta=-90 * DEGREES, run_time=1)
        self.play(FadeOut(ball, ring), run_time=1)


class Still(Scene):
    """Plays that show the same noise, so that little is drawn, and ten minutes have 80 MB, as those of other films."""

    def construct(self) -> None:
        """Wait as often as fills the time."""
        noise = np.random.default_rng(1).integers(0, 255, (540, 960, 3), dtype=np.uint8)
        self.add(ImageMobject(noise).scale_to_fit_height(4))
        for _ in range(max(1, round(MINUTES * 60 / STILL_S))):
            self.wait(STILL_S)
