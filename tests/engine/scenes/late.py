"""Scenes that cannot be rendered in parallel any more after some plays."""

import random
import threading
from pathlib import Path

from manim import *


def play_some(scene, count=3):
    """Play so much that it is worth keeping; return what moved, and what stands still."""
    still, moving = Square(fill_opacity=0.5, color=BLUE), Dot(fill_opacity=1)
    scene.add(still, moving)
    for index in range(count):
        scene.play(moving.animate.shift(RIGHT * (1 + index / 10)), run_time=0.4)
    return moving, still


class ReadsAtEnd(Scene):
    """Shows a small image of the last frame."""

    def construct(self):
        moving, _ = play_some(self)
        moving.set_color(RED)  # after the last frame
        self.add(ImageMobject(self.camera.pixel_array).scale(0.3).to_corner())
        self.play(moving.animate.shift(UP), run_time=0.4)


class ReadsThroughout(Scene):
    """Reads the pixels again and again: what it has got is Manim's own array, which changes from frame to frame."""

    def construct(self):
        moving, still = play_some(self)
        pixels = self.camera.pixel_array
        for _ in range(3):
            still.set_fill(opacity=pixels[..., :3].mean() / 255)
            self.play(moving.animate.shift(LEFT), run_time=0.4)
        still.add_updater(lambda m: m.set_x(pixels[..., 0].mean() / 20))
        self.play(moving.animate.shift(LEFT), run_time=0.4)
        self.add(ImageMobject(np.asarray(self.camera.get_image())).scale(0.2))
        self.wait(0.3)


class ReadsInUpdater(Scene):
    """Reads the frame before in the first frame of a play."""

    def construct(self):
        moving, _ = play_some(self)
        moving.add_updater(lambda m: m.set_y(self.renderer.get_frame()[..., :3].mean() / 50))
        self.play(FadeIn(Circle()), run_time=0.4)


class ReadsRepeated(Scene):
    """Reads the pixels after a play that repeats another one, so that Manim skips it."""

    def construct(self):
        play_some(self)
        self.wait(0.3)
        self.wait(0.3)
        self.add(Dot(UP * self.camera.pixel_array[..., :3].mean() / 40))
        self.wait(0.3)
        self.wait(0.3)


class ReadsSkipped(Scene):
    """Reads the pixels after a section that is left out."""

    def construct(self):
        moving, _ = play_some(self)
        self.next_section(skip_animations=True)
        self.play(moving.animate.shift(UP), run_time=0.4)
        self.play(FadeIn(Circle(fill_opacity=1)), run_time=0.4)
        brightness = self.camera.pixel_array[..., :3].mean()
        self.next_section()
        self.play(moving.animate.shift(DOWN * brightness / 50), run_time=0.4)


class PaintsPixels(Scene):
    """Changes the pixels between two plays, and reads them."""

    def construct(self):
        play_some(self)
        self.camera.set_pixel_array(np.full((90, 160, 4), 99, np.uint8))
        self.play(FadeIn(Dot(UP * self.camera.pixel_array.mean() / 99)), run_time=0.4)


class SwallowsRead(Scene):
    """Catches what stops it, within a play, and plays on."""

    def construct(self):
        moving, still = play_some(self)

        def follow(square):
            try:
                square.set_x(self.camera.pixel_array[..., :3].mean() / 50)
            except:
                square.set_x(-2)

        still.add_updater(follow)
        self.play(moving.animate.shift(UP), run_time=0.4)
        self.play(moving.animate.shift(LEFT), run_time=0.4)


class WritesLate(Scene):
    """Keeps a file up to date from an updater, and forgets it in the end."""

    def construct(self):
        count = Path("late.txt")
        count.write_text("0")
        moving, _ = play_some(self)

        def step(dot):
            count.write_text(str(int(count.read_text()) + 1))
            dot.set_y(int(count.read_text()) / 10)

        moving.add_updater(step)
        self.wait(0.5, frozen_frame=False)
        self.play(FadeOut(moving), run_time=0.4)


class ThreadsLate(Scene):
    def construct(self):
        moving, _ = play_some(self)
        done = threading.Event()
        worker = threading.Thread(target=done.wait)
        worker.start()
        self.play(moving.animate.shift(UP), run_time=0.4)
        done.set()
        worker.join()
        self.play(moving.animate.shift(DOWN), run_time=0.4)


class BreaksLate(Scene):
    """Fails in a play after it has read pixels."""

    def construct(self):
        moving, _ = play_some(self)
        self.camera.get_image()
        moving.add_updater(lambda m: 1 / (self.time < 1.4))
        self.play(FadeIn(Circle()), run_time=0.8)


class Dice(Scene):
    """Has other random numbers in each render: a test can only check how it is rendered."""

    def __init__(self, **kwargs):
        config.seed = None
        super().__init__(**kwargs)

    def construct(self):
        for _ in range(3):
            self.play(FadeIn(Dot([random.uniform(-4, 4), np.random.uniform(-3, 3), 0])), run_time=0.4)
        self.camera.get_image()
        self.play(FadeIn(Dot([random.uniform(-4, 4), 0, 0])), run_time=0.4)
