"""Everything that changes while nobody animates it."""

import random

from manim import *


class WithDt(Scene):
    def construct(self):
        square = Square().add_updater(lambda m, dt: m.rotate(dt))
        dot, speed = Dot(RIGHT * 3), [0.0, 2.0]

        def swing(m, dt):
            speed[0] -= speed[1] * dt
            speed[1] += speed[0] * dt
            m.move_to([3 * speed[1] / 2, 1, 0])

        dot.add_updater(swing)
        self.add(square, dot)
        self.wait(1.3)
        self.play(FadeIn(Circle()), run_time=1.4)
        square.suspend_updating()
        self.wait(0.4)
        square.resume_updating()
        self.play(square.animate.shift(UP), run_time=1.2)
        dot.clear_updaters()
        self.wait(0.4)


class WithoutDt(Scene):
    def construct(self):
        tracker = ValueTracker(0)
        number = DecimalNumber(0).add_updater(lambda m: m.set_value(tracker.get_value()))
        dot = Dot().add_updater(lambda m: m.move_to([np.cos(tracker.get_value()), np.sin(tracker.get_value()), 0]))
        line = always_redraw(lambda: Line(ORIGIN, dot.get_center(), color=YELLOW))
        self.add(number.to_edge(UP), dot, line)
        self.play(tracker.animate.set_value(4), run_time=2.1, rate_func=linear)
        self.wait(0.3)
        self.play(tracker.animate.increment_value(-2))


class SceneUpdaters(Scene):
    def construct(self):
        dots = VGroup()
        self.add(dots)
        self.add_updater(lambda dt: dots.add(Dot([len(dots) / 6 - 3, np.sin(len(dots)), 0], radius=0.04)))
        self.wait(1.2)
        self.play(Create(Square()), run_time=1.3)
        self.updaters.clear()
        self.wait(0.3)


class ChangesStill(Scene):
    """A scene updater that moves what Manim takes for standing still: the frames show it unmoved until the next play."""

    def construct(self):
        still, moving = Square(color=RED), Dot()
        self.add(still, moving)
        self.add_updater(lambda dt: still.shift(RIGHT * dt))
        self.play(moving.animate.shift(UP), run_time=2.5)
        self.play(moving.animate.shift(DOWN), run_time=1.2)


class Traced(Scene):
    def construct(self):
        dot = Dot()
        path = TracedPath(dot.get_center, stroke_color=RED, dissipating_time=0.6)
        self.add(dot, path, TracedPath(dot.get_center))
        self.play(dot.animate.shift(RIGHT * 2), run_time=1.1)
        self.play(Rotating(dot, angle=PI, about_point=ORIGIN, run_time=1.6))
        self.wait(0.7)


class RandomNumbers(Scene):
    def construct(self):
        rng = np.random.default_rng(3)
        own = random.Random(5)
        dot = Dot().add_updater(
            lambda m: m.move_to([random.uniform(-3, 3), np.random.uniform(-2, 2), rng.normal() * own.random()])
        )
        self.add(dot)
        self.wait(1.2)
        self.play(Create(Circle(radius=rng.uniform(1, 2))), run_time=1.3)
        self.play(FadeIn(Square().rotate(random.random())), run_time=0.5)


class Conditions(Scene):
    def construct(self):
        tracker = ValueTracker(0)
        tracker.add_updater(lambda m, dt: m.increment_value(dt))
        dot = Dot().add_updater(lambda m: m.move_to([tracker.get_value(), 0, 0]))
        self.add(tracker, dot)
        self.wait_until(lambda: tracker.get_value() > 1.15, max_time=5)
        self.wait(3, stop_condition=lambda: tracker.get_value() > 2)
        self.wait(0.5, stop_condition=lambda: False)
        self.wait(0.5, frozen_frame=True)
        self.pause(0.3)
        self.wait(0.4, frozen_frame=False)
        self.wait(3, stop_condition=lambda: True)


class Clock(Scene):
    """Reads the scene's own time."""

    def construct(self):
        hand = always_redraw(lambda: Line(ORIGIN, 2 * UP).rotate(-self.time, about_point=ORIGIN))
        label = Integer(0).add_updater(lambda m: m.set_value(int(self.renderer.time * 10)))
        self.add(hand, label.to_corner(UL))
        self.wait(1.2)
        self.play(Create(Circle(2)), run_time=1.5)
        self.add(Text(f"{self.time:.6f}", font_size=24))
        self.wait(0.4)


class UpdateAnimations(Scene):
    def construct(self):
        square = Square()
        self.play(UpdateFromFunc(square, lambda m: m.rotate(0.1)), run_time=1.3)
        self.play(UpdateFromAlphaFunc(square, lambda m, a: m.move_to([a, a * a, 0])), run_time=1.1)
        always_shift(square, LEFT, rate=1)
        always_rotate(square, rate=1)
        f_always(Dot().move_to, square.get_right)
        self.wait(0.8)
        turn_animation_into_updater(Create(Circle(), run_time=0.6))
        self.wait(0.8)


class Counting(Animation):
    """Keeps a count of its own calls, and draws by it."""

    def begin(self):
        self.calls = 0
        super().begin()

    def interpolate_mobject(self, alpha):
        self.calls += 1
        self.mobject.move_to([self.calls / 10 - 1, np.sin(self.calls), 0])


class SideEffects(Scene):
    def construct(self):
        dot = Dot()
        counting = Counting(dot)
        self.play(counting, run_time=1.5)
        self.add(Text(str(counting.calls)))
        self.play(Counting(dot), Create(Square()), run_time=1.2)
        self.play(Create(Circle(), rate_func=lambda t: (self.mobjects[0].shift(UP * 0.01), t)[1]), run_time=1.2)


class WritesEachFrame(Scene):
    """New texts and formulas while frames are made: parent and chunk renderers need the same files at the same time."""

    def construct(self):
        time = ValueTracker(0)
        self.add(always_redraw(lambda: Text(f"{time.get_value():.2f}")))
        self.add(always_redraw(lambda: MathTex(f"x_{int(time.get_value())}").shift(UP)))
        self.add(always_redraw(lambda: MarkupText(f"<b>{time.get_value():.1f}</b>").shift(DOWN)))
        self.play(time.animate.set_value(2.9), run_time=1.2, rate_func=linear)


class Followers(Scene):
    """Updaters that depend on one another and on submobjects."""

    def construct(self):
        leader = Dot(LEFT)
        label = Text("x").add_updater(lambda m: m.next_to(leader, UP))
        brace = always_redraw(lambda: Brace(VGroup(leader, label), RIGHT))
        group = VGroup(Square(), Circle()).add_updater(lambda m, dt: m[0].rotate(dt))
        self.add(leader, label, brace, group)
        self.play(leader.animate.shift(RIGHT * 3), run_time=1.3)
        self.play(group.animate.scale(0.5), run_time=1.1)
        self.wait(0.5)


class Fields(Scene):
    def construct(self):
        field = ArrowVectorField(lambda p: np.array([p[1], -p[0], 0]) / 2, x_range=[-2, 2], y_range=[-2, 2])
        self.play(Create(field), run_time=0.5)
        dot = Dot(UP).add_updater(field.get_nudge_updater())
        self.add(dot)
        self.wait(1.2)
        stream = StreamLines(lambda p: np.array([1, p[0], 0]), x_range=[-2, 2, 1], y_range=[-1, 1, 1], padding=0)
        self.add(stream)
        stream.start_animation(warm_up=False)
        self.wait(0.8)


class Always(Scene):
    def __init__(self, **kwargs):
        super().__init__(always_update_mobjects=True, **kwargs)

    def construct(self):
        count = [0]

        def step(m):
            count[0] += 1
            m.move_to([count[0] / 10, 0, 0])

        self.add(Dot().add_updater(step))
        self.wait(1.2)
        self.play(Create(Square()), run_time=0.7)


class OpenFiles(Scene):
    """Its updater reads on in one file and goes on writing another, both opened before."""

    def construct(self):
        with open("places.bin", "wb") as file:
            file.write(bytes(range(256)))
        with open("places.bin", "rb", buffering=0) as places, open("log.txt", "w", buffering=1) as log:

            def step(m):
                m.set_x(places.read(1)[0] / 20)
                log.write(f"{m.get_x():.3f}\n")

            dot = Dot().add_updater(step)
            self.add(dot)
            self.wait(0.6, frozen_frame=False)
            self.play(Create(Square()), run_time=1.5)
            dot.clear_updaters()
        with open("log.txt") as log:
            count = len(log.readlines())
        self.play(FadeIn(Dot([count / 10, 1, 0])), run_time=0.4)


class ReadsFile(Scene):
    """Reads in each frame a file that is written anew between plays."""

    def construct(self):
        from pathlib import Path

        dot = Dot(radius=1)
        self.add(dot)
        for name in ("#ff0000", "#0000ff"):
            Path("colour.txt").write_text(name)
            read = UpdateFromAlphaFunc(dot, lambda m, a: m.set_color(Path("colour.txt").read_text() if a < 1 else WHITE))
            self.play(read, run_time=0.8)


class WritesUnnamed(Scene):
    """Writes a line for each frame into a file that has no name, and counts them."""

    def construct(self):
        import tempfile

        lines = tempfile.TemporaryFile("w+", buffering=1)
        dot = Dot().add_updater(lambda m: (lines.write("x\n"), m.shift(RIGHT * 0.1)))
        self.add(dot)
        for _ in range(3):
            self.play(Create(Square()), run_time=0.5)
        dot.clear_updaters()
        lines.seek(0)
        self.play(FadeIn(Dot([len(lines.readlines()) / 20, 1, 0])), run_time=0.3)


class CountsFrames(Scene):
    """Counts the frames of an animation whose class, mobject and functions are Manim's, by its lag ratio."""

    def construct(self):
        scene = self
        self.frames = 0

        class Ratio(float):
            def __rmul__(self, number):
                scene.frames += 1
                return number * float(self)

        square = Square()
        self.play(Transform(square, Circle(), lag_ratio=Ratio(0)), run_time=1.6)
        self.play(Rotate(square, self.frames / 20), run_time=0.4)
