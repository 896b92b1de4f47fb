"""Scenes whose chunk renderers are killed, crash or fail."""

import os
import signal
from pathlib import Path

from manim import *


class Fatal(Square):
    """Ends the process that draws it, unless that process made it, or the file ``mark`` exists."""

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
    """Its chunk renderers are killed in the first attempt, not in the second."""

    def construct(self):
        print("begun")
        again, Fatal.mark = Path("again"), "mark"
        if again.exists():
            Path("mark").touch()
        again.touch()
        self.add(Fatal(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.2)


class EncoderKilledOnce(Scene):
    """A chunk renderer kills the process that encodes for it, in the first attempt."""

    def construct(self):
        again, maker, killed = Path("again"), os.getpid(), []
        is_second = again.exists()
        again.touch()

        class Killing(Square):
            def get_fill_rgbas(self):
                while os.getpid() != maker and not is_second and not killed:
                    killed.extend(children(maker) - chunk_renderers(maker))  # it may not have closed its files yet
                    for encoder in killed:
                        os.kill(int(encoder), signal.SIGKILL)
                return super().get_fill_rgbas()

        self.add(Killing(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.2)


class KilledLater(Scene):
    """The chunk renderer of its second play is killed once, when those of the first have ended.

    The times of the file "renderers" show whether the first play was drawn, in the first attempt and in the second: a
    chunk renderer cannot write to files.
    """

    def construct(self):
        again, Fatal.mark = Path("again"), "mark"
        attempt = int(again.exists())
        if attempt:
            Path("mark").touch()
        else:
            again.touch()
            Path("renderers").touch()
            os.utime("renderers", (0, 0))
        maker = os.getpid()
        others = chunk_renderers(maker)

        class Noting(Square):
            def get_fill_rgbas(self):
                if os.getpid() != maker:
                    before = os.stat("renderers")
                    os.utime("renderers", (before.st_atime, 1) if attempt else (1, before.st_mtime))
                return super().get_fill_rgbas()

        class Later(Fatal):
            def get_fill_rgbas(self):
                while os.getpid() != maker and first & chunk_renderers(maker):
                    pass
                return super().get_fill_rgbas()

        self.add(noting := Noting(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.2)
        self.remove(noting)
        Path("between").touch()  # so that the second play has a process of its own
        first = chunk_renderers(maker) - others
        self.add(Later(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.2)


def children(pid):
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def chunk_renderers(pid):
    """Return the children that have the files of the slots open; those that encode closed them."""
    return {child for child in children(pid) if has_slots(child)}


def has_slots(pid):
    try:
        return any("renderer-slot" in str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # it has ended, or closes a file
        return Path(f"/proc/{pid}").exists()


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


class LongPlays(Scene):
    """Prints after each play how many descriptors and shared pieces of memory it holds."""

    def construct(self):
        self.add(Square())
        for _ in range(6):
            self.play(FadeIn(Dot().shift(UP)), run_time=3.5)
            with open("/proc/self/maps") as maps:
                shared = sum(" rw-s " in line for line in maps)
            print("holds", len(os.listdir("/proc/self/fd")), shared)
