"""A file that makes memory which processes share."""

import multiprocessing

from manim import *

STEPS = multiprocessing.Value("i")


class CountsForAll(Scene):
    def construct(self):
        def step(m):
            with STEPS:
                STEPS.value += 1
            m.move_to([STEPS.value / 5, 0, 0])

        self.add(Dot().add_updater(step))
        self.wait(1.2, frozen_frame=False)
