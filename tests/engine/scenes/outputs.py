"""Outputs beside the frames: sections, subtitles, sound; and plays that are skipped."""

import wave

from manim import *


def beep(name, seconds=0.4, rate=8000):
    with wave.open(name, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        samples = np.sin(np.arange(int(seconds * rate)) * 0.3) * 8000
        file.writeframes(samples.astype("<i2").tobytes())
    return name


class Sections(Scene):
    def construct(self):
        self.next_section("first one")
        self.play(Create(Square()), run_time=1.3)
        self.next_section("left out", skip_animations=True)
        dot = Dot().add_updater(lambda m, dt: m.shift(RIGHT * dt))
        self.add(dot)
        self.play(FadeIn(Circle()), run_time=1.2)
        self.wait(0.5)
        self.next_section("last one", "presentation.loop")
        self.wait(0.7)
        self.play(FadeOut(dot), run_time=0.5)


class Subtitles(Scene):
    def construct(self):
        self.add_subcaption("hello", duration=1)
        self.play(Create(Square()), subcaption="drawn", run_time=1.2)
        self.wait(0.5)
        self.play(FadeOut(*self.mobjects), subcaption="gone", subcaption_duration=0.3, subcaption_offset=0.1)
        self.add_subcaption("the end", offset=-0.5)


class Sounds(Scene):
    def construct(self):
        name = beep("beep.wav")
        self.add_sound(name)
        self.play(Create(Square()), run_time=1.1)
        self.add_sound(name, time_offset=0.2, gain=-5)
        self.wait(0.6)
        self.add_sound(beep("long.wav", 0.9))
        self.wait(1.0)


class NoPlay(Scene):
    """Becomes an image."""

    def construct(self):
        self.add(Square(fill_opacity=1), Text("still"))


class AllSkipped(Scene):
    def construct(self):
        self.next_section(skip_animations=True)
        self.play(Create(Square()))
        self.next_section("shown")
        self.play(Create(Circle()), run_time=0.4)


class Caught(Scene):
    """Goes on after an error between plays."""

    def construct(self):
        try:
            self.play()
        except ValueError:
            self.add(Dot())
        try:
            self.wait(-1)
        except ValueError:
            self.play(Create(Square()), run_time=0.5)


class LongPlay(Scene):
    """One long play, many parts."""

    def construct(self):
        square = Square().add_updater(lambda m, dt: m.rotate(dt))
        self.add(square)
        self.play(square.animate.shift(RIGHT * 2), run_time=4.3)


class SlowPaint(Square):
    """Takes longer to draw in its first moments, so that later chunks are complete earlier."""

    def get_fill_rgbas(self):
        import time

        time.sleep(max(0.0, 0.04 - abs(self.get_center()[0]) / 50))
        return super().get_fill_rgbas()


class Shuffled(Scene):
    def construct(self):
        slow = SlowPaint(fill_opacity=1)
        self.play(slow.animate.shift(RIGHT * 4), run_time=3.1, rate_func=linear)
        self.play(slow.animate.shift(UP), run_time=0.4)
        self.play(slow.animate.shift(LEFT * 4), run_time=2.1)
