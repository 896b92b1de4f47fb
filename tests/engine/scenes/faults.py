"""Scenes whose painters come to harm."""

import os
import signal
from pathlib import Path

from manim import *


class Fatal(Square):
    """Ends the process that paints it, unless that is the one that made it, or a file says that it was done."""

    how, mark = signal.SIGKILL, None

    def __init__(self, **kwargs):
        self.maker = os.getpid()
        super().__init__(**kwargs)

    def get_fill_rgbas(self):
        done = self.mark and Path(self.mark).exists()
        if os.getpid() != self.maker and not done:
            os.kill(os.getpid(), self.how)
        return super().get_fill_rgbas()


class AlwaysKilled(Scene):
    def construct(self):
        self.add(Fatal(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.2)


class KilledOnce(Scene):
    """Its first painters are killed; when the scene starts anew, none is."""

    def construct(self):
        again, Fatal.mark = Path("again"), "mark"
        if again.exists():
            Path("mark").touch()
        again.touch()
        self.add(Fatal(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.2)


class Crashes(Scene):
    def construct(self):
        Fatal.how = signal.SIGSEGV
        self.add(Fatal(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.2)


class Noise(Scene):
    def construct(self):
        rng = np.random.default_rng(0)
        picture = ImageMobject(rng.integers(0, 255, (90, 160, 3), dtype=np.uint8))
        picture.height = 8
        picture.add_updater(lambda m: setattr(m, "pixel_array", rng.integers(0, 255, (90, 160, 4), dtype=np.uint8)))
        self.add(picture)
        self.wait(4, frozen_frame=False)


class Endless(Scene):
    def construct(self):
        self.add(Square().add_updater(lambda m, dt: m.rotate(dt)))
        self.wait(100000)
