"""Random sequences of steps give the same frames as with plain Manim."""

from __future__ import annotations

import tempfile
from pathlib import Path

from engine.renders import order_render, render_with_engine, render_with_manim, scene_names
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STEPS = [
    "self.play(Create(shape(rng)), run_time={t})",
    "self.play(FadeIn(shape(rng), shift=UP), run_time={t})",
    "self.play(*[m.animate.shift(RIGHT * rng.uniform(-1, 1)) for m in self.mobjects] or [Create(Dot())], run_time={t})",
    "self.play(LaggedStart(*[Create(shape(rng)) for _ in range(3)], lag_ratio=0.3), run_time={t})",
    "self.play(FadeOut(self.mobjects[0]) if self.mobjects else Create(Dot()), run_time={t})",
    "self.play(tracker.animate.set_value(rng.uniform(-3, 3)), run_time={t})",
    "self.add(shape(rng).add_updater(lambda m, dt: m.rotate(dt * 2)))",
    "self.add(Dot().add_updater(lambda m: m.set_x(tracker.get_value() + random.random())))",
    "self.add(always_redraw(lambda: Circle(0.2 + abs(tracker.get_value()))))",
    "self.add_updater(lambda dt: tracker.increment_value(dt))",
    "self.wait({t})",
    "self.wait({t}, frozen_frame=False)",
    "self.wait(3, stop_condition=lambda: self.time > {t} * 2)",
    "self.remove(*self.mobjects[:1])",
    "self.next_section(skip_animations={skip})",
    "[m.clear_updaters() for m in self.mobjects[:2]]",
    "self.camera.background_color = ManimColor([rng.random(), 0.2, 0.3])",
]
HEAD = """
import random
from manim import *

def shape(rng):
    kind = [Square, Circle, Triangle, Dot, Star][rng.integers(5)]
    return kind(fill_opacity=rng.random()).move_to([rng.uniform(-4, 4), rng.uniform(-2, 2), 0])
"""

steps = st.lists(
    st.tuples(st.sampled_from(STEPS), st.floats(0.05, 1.6).map(lambda t: round(t, 3)), st.booleans()),
    min_size=2,
    max_size=7,
)


def source(scenes: list[list[tuple[str, float, bool]]]) -> str:
    """Return the source of a file of scenes."""
    text = HEAD
    for number, lines in enumerate(scenes):
        text += f"\nclass Random{number}(Scene):\n    def construct(self):\n"
        text += f"        rng, tracker = np.random.default_rng({number}), ValueTracker(0)\n"
        text += "".join(f"        {line.format(t=t, skip=skip)}\n" for line, t, skip in lines)
        text += "        self.next_section()\n        self.wait(0.2)\n"
    return text


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=4, max_size=4))
def test_random_scenes(scenes: list[list[tuple[str, float, bool]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        file = work / "random_scenes.py"
        file.write_text(source(scenes))
        names = scene_names(file)
        wanted = render_with_manim(work / "plain", file, names)
        orders = [order_render(work / "ours", file, scene, preset="fast", chunk_frames=6) for scene in names]
        for scene, found in zip(names, render_with_engine(work / "ours", file, orders), strict=True):
            assert "error" not in found.report or wanted[scene].exit_code, (found.report, file.read_text())
            if not wanted[scene].exit_code:
                assert found.frames == wanted[scene].frames, file.read_text()
