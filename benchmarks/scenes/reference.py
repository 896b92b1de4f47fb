"""The reference scenes of the benchmarks: text and formulas, geometry with updaters, a 3D surface, sixty short plays."""

from manim import *


class Formulas(Scene):
    """(a) text + TeX, ~10 s"""
    def construct(self):
        title = Text("Adding two numbers", font_size=56).to_edge(UP)
        a, b = 17, 25
        lhs = MathTex(str(a), "+", str(b), font_size=120)
        rhs = MathTex(str(a), "+", str(b), "=", str(a + b), font_size=120)
        self.play(Write(title))
        self.play(Write(lhs))
        self.wait(0.5)
        self.play(Indicate(lhs[0]), Indicate(lhs[2]))
        self.play(TransformMatchingTex(lhs, rhs), run_time=2)
        self.wait(0.5)
        box = SurroundingRectangle(rhs[-1], buff=0.2)
        self.play(Create(box))
        note = Text("the answer is 42", font_size=40, color=YELLOW).next_to(rhs, DOWN, buff=1)
        self.play(FadeIn(note, shift=UP))
        self.wait(1)
        self.play(FadeOut(title), FadeOut(rhs), FadeOut(box), FadeOut(note))

class Geometry(Scene):
    """(b) many VMobjects with updaters, ~10 s"""
    def construct(self):
        rng = np.random.default_rng(1)
        t = ValueTracker(0)
        n = 14
        dots = VGroup()
        for i in range(n):
            for j in range(n):
                c = Circle(radius=0.16, stroke_width=2, fill_opacity=0.6,
                           color=interpolate_color(BLUE, RED, (i + j) / (2 * n)))
                c.base = np.array([(i - n / 2) * 0.55, (j - n / 2) * 0.5, 0])
                c.move_to(c.base)
                c.add_updater(lambda m: m.move_to(m.base + 0.15 * np.array([
                    np.cos(t.get_value() + m.base[0]), np.sin(t.get_value() + m.base[1]), 0])))
                dots.add(c)
        self.play(LaggedStart(*[GrowFromCenter(d) for d in dots], lag_ratio=0.005), run_time=2)
        self.play(t.animate.set_value(6), run_time=3, rate_func=linear)
        squares = VGroup(*[Square(0.3).move_to([rng.uniform(-6, 6), rng.uniform(-3, 3), 0]).rotate(rng.uniform(0, 3))
                           for _ in range(60)])
        for s in squares:
            s.add_updater(lambda m, dt: m.rotate(dt))
        self.play(FadeIn(squares), run_time=1)
        self.wait(2)
        self.play(FadeOut(dots), FadeOut(squares), run_time=2)

class Surface3D(ThreeDScene):
    """(c) 3D surface + camera"""
    def construct(self):
        axes = ThreeDAxes()
        s = Surface(lambda u, v: axes.c2p(u, v, np.sin(u) * np.cos(v)),
                    u_range=[-3, 3], v_range=[-3, 3], resolution=(20, 20))
        s.set_fill_by_value(axes=axes, colorscale=[(RED, -1), (YELLOW, 0), (GREEN, 1)])
        self.set_camera_orientation(phi=65 * DEGREES, theta=-45 * DEGREES)
        self.play(Create(axes), run_time=1)
        self.play(FadeIn(s), run_time=1)
        self.begin_ambient_camera_rotation(rate=0.4)
        self.wait(3)
        self.stop_ambient_camera_rotation()
        self.move_camera(phi=30 * DEGREES, theta=0, run_time=2)
        self.wait(1)

class SixtyPlays(Scene):
    """(d) 60 animations + waits, ~75 s"""
    def construct(self):
        header = Text("Sixty animations", font_size=36).to_edge(UP)
        self.play(FadeIn(header))
        nplane = NumberPlane(background_line_style={"stroke_opacity": 0.3})
        self.play(Create(nplane))
        cur = None
        for i in range(18):
            m = MathTex(rf"\sum_{{k=1}}^{{{i+1}}} k = {((i+1)*(i+2))//2}").scale(1.5)
            if cur is None:
                self.play(Write(m))
            else:
                self.play(ReplacementTransform(cur, m))
            cur = m
            shape = [Circle, Square, Triangle, Star][i % 4](color=[RED, GREEN, BLUE, YELLOW][i % 4], fill_opacity=0.5)
            shape.move_to([(-5 + (i % 6) * 2), -2.5, 0])
            self.play(DrawBorderThenFill(shape))
            self.play(shape.animate.shift(UP * 0.7).rotate(PI / 3))
            self.wait(0.5)
            if i % 3 == 2:
                self.play(FadeOut(shape))
        self.play(FadeOut(cur), FadeOut(nplane), FadeOut(header))


class Short(Scene):
    """One of twenty: two seconds."""

    number = 0

    def construct(self):
        label = Text(f"Scene {self.number}")
        shape = RegularPolygon(3 + self.number % 5, color=BLUE)
        self.play(Write(label))
        self.play(ReplacementTransform(label, shape))


for number in range(20):
    globals()[f"Short{number:02}"] = type(f"Short{number:02}", (Short,), {"number": number, "__module__": __name__})
