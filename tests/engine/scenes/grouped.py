"""Scenes with many short plays, and with code between them that only one process may run."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from manim import DOWN, LEFT, RIGHT, UP, Circle, Dot, FadeIn, Scene, Square, Transform, Wait, Write, Text


class ManyShortPlays(Scene):
    def construct(self) -> None:
        dot, square = Dot(), Square()
        square.add_updater(lambda moved, dt: moved.rotate(dt))
        self.add(square)
        for index in range(14):
            self.play(dot.animate.shift(random.random() * (UP, RIGHT, DOWN, LEFT)[index % 4]), run_time=0.3)
            if index % 5 == 0:
                self.wait(0.2)
            if index == 7:
                square.clear_updaters()
                self.play(FadeIn(Circle()), run_time=2.5)  # too long for a group while slots are free
        self.play(Transform(square, Circle()), run_time=0.5)
        self.wait(0.4, frozen_frame=True)


class WritesBetween(Scene):
    """The file has each line once."""

    def construct(self) -> None:
        dot = Dot()
        for index in range(6):
            with Path("between.txt").open("a") as file:
                print(index, file=file)
            self.play(dot.animate.shift(0.2 * UP * int(Path("between.txt").read_text().split()[-1])), run_time=0.2)


class AsksBetween(Scene):
    """In another process, the code between two plays does something else."""

    def construct(self) -> None:
        process, dot = os.getpid(), Dot()
        for _ in range(4):
            self.play(dot.animate.shift(0.2 * RIGHT), run_time=0.2)
            if os.getpid() != process:
                dot.shift(DOWN)


class RepeatsShortPlays(Scene):
    """Manim's cache has every second play, and text is made between plays."""

    def construct(self) -> None:
        dot = Dot()
        for index in range(8):
            self.play(dot.animate.shift((UP, DOWN)[index % 2]), run_time=0.2)
            if index == 3:
                self.play(Write(Text("short")), run_time=0.3)
        self.play(Wait(0.3))


class GoesOnWithMoreSlots(Scene):
    """The process of the second play begins the third when that of the first, which was alive before, has ended."""

    def construct(self) -> None:
        process, dot = os.getpid(), Dot()
        third = Path(f"third-{process}")

        def hold(_: Dot) -> None:
            if os.getpid() != process:
                wait_until(third.exists)

        dot.add_updater(hold)
        self.play(dot.animate.shift(UP), run_time=0.2)
        dot.clear_updaters()
        Path(f"first-{process}").touch()  # another process draws the next play
        self.play(dot.animate.shift(DOWN), run_time=0.4)
        if os.getpid() != process:
            wait_until(lambda: not has_siblings(process))
        self.play(dot.animate.shift(RIGHT), run_time=1.8)
        if os.getpid() == process:
            third.touch()


def has_siblings(parent: int) -> bool:
    """Return whether there is another chunk renderer: they have the files of the slots open, those that encode do not."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return any(has_slots(child) for child in children if int(child) != os.getpid())


def has_slots(pid: str) -> bool:
    try:
        return any("renderer-slot" in str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # it has ended, or closes a file
        return Path(f"/proc/{pid}").exists()


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)


class BreaksInGroup(Scene):
    def construct(self) -> None:
        dot = Dot()
        for index in range(5):
            self.play(dot.animate.shift(0.2 * UP), run_time=0.2)
            if index == 3:
                dot.add_updater(lambda _: {}["third"])


class LeavesBetween(Scene):
    def construct(self) -> None:
        dot = Dot()
        for _ in range(3):
            self.play(dot.animate.shift(0.2 * UP), run_time=0.2)
        raise ValueError("between two plays")
