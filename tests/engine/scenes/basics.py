"""Animations without updaters, groups of them, and their odd ends."""

import multiprocessing
from pathlib import Path

from manim import *


class Shapes(Scene):
    def construct(self):
        circle = Circle(fill_opacity=0.5)
        self.play(Create(circle))
        self.play(circle.animate.shift(RIGHT).rotate(1), run_time=1.7)
        self.play(Transform(circle, Square(color=RED)), FadeIn(Dot(UP * 2)))
        self.wait(0.6)
        self.play(FadeOut(circle), run_time=0.4)


class Texts(Scene):
    def construct(self):
        title = Text("Grüße, 世界", font_size=40)
        formula = MathTex("a^2", "+", "b^2", "=", "c^2").next_to(title, DOWN)
        self.play(Write(title), run_time=1.2)
        self.play(Write(formula))
        self.play(Indicate(formula[0]), Circumscribe(title))
        self.play(TransformMatchingTex(formula, MathTex("c^2", "=", "a^2", "+", "b^2")), run_time=1.3)
        self.play(Unwrite(title), run_time=0.5)


def make_title():
    return Title("A title", include_underline=False)


class WrittenFormulas(Scene):
    """Has formulas whose files change, and one that TeX never ends, which it does not show."""

    parts = ("a", "=", "b")

    def construct(self):
        if self.time:
            Tex(r"\def\x{\x}\x")
        for text in ("first", "second"):
            Path("words.tex").write_text(text)
            self.play(FadeIn(Tex(r"\input{words.tex}").shift(UP * len(text) / 3)), run_time=0.2)
        Path("more.tex").write_text("more")
        self.add(Tex(r"\InputIfFileExists{more.tex}{}{none} words", tex_environment=None))
        formula = MathTex(*self.parts, color=RED)
        self.play(FadeIn(make_title(), formula, DecimalNumber(1.5).shift(DOWN)), run_time=0.3)
        self.play(TransformMatchingTex(formula, MathTex(r"{{ b }} = {{ a }}", tex_to_color_map={"=": RED})))


class Multiprocesses(Scene):
    def construct(self):
        self.play(Create(Circle()), run_time=0.3)
        process = multiprocessing.get_context("fork").Process(target=abs, args=(1,))
        process.start()
        process.join()
        process.close()
        self.play(Create(Square()), run_time=0.3)


class CodeBlocks(Scene):
    def construct(self):
        code = Code(code_string="def f(x):\n    return x + 1\n", language="python")
        self.play(Create(code), run_time=0.5)
        self.play(code.animate.scale(0.7), run_time=0.4)


class Groups(Scene):
    def construct(self):
        dots = VGroup(*[Dot() for _ in range(8)]).arrange(RIGHT)
        self.play(LaggedStart(*[GrowFromCenter(dot) for dot in dots], lag_ratio=0.2), run_time=1.5)
        self.play(Succession(*[dot.animate(run_time=0.3).shift(UP) for dot in dots[:5]]))
        self.play(AnimationGroup(Rotate(dots[0], PI), ScaleInPlace(dots[1], 3), lag_ratio=0.5))
        self.play(LaggedStartMap(FadeOut, dots, shift=DOWN), run_time=0.8)
        self.play(Succession(Create(Square()), Wait(0.2), Add(Circle()), Create(Triangle())))


class SpeedChanges(Scene):
    def construct(self):
        dot = Dot(LEFT * 4)
        self.add(dot)
        ChangeSpeed.add_updater(dot, lambda m, dt: m.rotate(dt))
        self.play(ChangeSpeed(dot.animate(run_time=1).shift(RIGHT * 8), speedinfo={0.3: 1, 0.4: 0.3, 0.8: 1}))
        self.play(
            ChangeSpeed(
                AnimationGroup(dot.animate(run_time=0.8).shift(LEFT * 4), Rotate(Square(), PI), lag_ratio=0.1),
                speedinfo={0.3: 2, 1: 0.5},
                affects_speed_updaters=False,
            )
        )


class ShortTimes(Scene):
    """Shorter than a frame, odd fractions, many tiny plays."""

    def construct(self):
        square = Square()
        self.play(Create(square), run_time=0.01)
        self.wait(0.05)
        for step in range(6):
            self.play(square.animate.shift(RIGHT * 0.2), run_time=0.1 + step / 70)
        self.wait(1 / 3)
        self.wait(0.3)
        self.play(Rotate(square, 2), run_time=1.05)


class Repeats(Scene):
    """Plays with equal keys: Manim takes the second from its cache, and steps it otherwise."""

    def construct(self):
        dot = Dot()
        self.add(dot)
        self.wait(0.5)
        self.wait(0.5)
        for _ in range(3):
            self.play(Indicate(dot), run_time=1.1)
        self.play(dot.animate.shift(UP))
        self.play(dot.animate.shift(DOWN))
        self.play(dot.animate.shift(UP))
        self.wait(0.5)


class RepeatsOfTheFirst(Scene):
    """The very first of equal plays is the one that Manim takes again."""

    def construct(self):
        square, circle = Square(), Circle()
        self.play(Create(circle), run_time=0.3)
        self.clear()
        for _ in range(2):
            self.play(FadeIn(square), run_time=0.4)
            self.remove(square)
            self.play(FadeIn(circle), run_time=0.4)
            self.remove(circle)
        self.wait(0.5)


class RepeatsWithUpdaters(Scene):
    """The cache hit of the second wait gives its updaters one big dt."""

    def construct(self):
        log = []
        square = Square().add_updater(lambda m, dt: log.append(dt))
        self.add(square, Dot().add_updater(lambda m: m.move_to([len(log) / 20, 0, 0])))
        for _ in range(3):
            self.play(Create(Circle()), run_time=0.5)
            self.clear()
            self.add(square, Dot())
        for _ in range(4):
            self.wait(0.4)
        label = Text(f"{len(log)} {sum(log):.3f}", font_size=30)
        self.play(FadeIn(label), run_time=0.3)


class RepeatsAfterRandom(Scene):
    def construct(self):
        import random

        for _ in range(4):
            self.wait(0.3)
            Dot([random.random(), 0, 0])
        self.add(Dot([random.random(), np.random.rand(), 0]))
        self.wait(0.3)


class Graphs(Scene):
    def construct(self):
        axes = Axes(x_range=[-3, 3], y_range=[-2, 2], tips=False)
        graph = axes.plot(lambda x: np.sin(2 * x), color=BLUE)
        plane = NumberPlane().set_opacity(0.3)
        self.play(Create(plane), run_time=1.2)
        self.play(Create(axes), Create(graph), run_time=1.2)
        area = axes.get_area(graph, x_range=(0, 1.5))
        self.play(FadeIn(area))
        self.play(MoveAlongPath(Dot(), graph), run_time=1.3, rate_func=linear)


class Movement(Scene):
    def construct(self):
        square = Square(color=BLUE)
        self.play(square.animate.apply_function(lambda p: p + [0.3 * np.sin(p[1] * 3), 0, 0]))
        self.play(Homotopy(lambda x, y, z, t: (x + t, y + np.sin(x) * t, z), square), run_time=1.2)
        self.play(PhaseFlow(lambda p: np.array([p[1], -p[0], 0]) * 0.5, square), run_time=1.4)
        self.play(ApplyWave(square), Wiggle(square), run_time=0.9)


class Removers(Scene):
    def construct(self):
        a, b = Square(), Circle().shift(RIGHT)
        self.play(FadeIn(a), Create(b))
        self.play(ReplacementTransform(a, b))
        self.play(ShrinkToCenter(b), run_time=0.5)
        self.add(a)
        self.play(FadeTransform(a, b), run_time=0.7)
        self.play(Flash(ORIGIN), FocusOn(b), run_time=0.7)
        self.play(ShowPassingFlash(Line(LEFT, RIGHT)), run_time=0.6)


class Foreground(Scene):
    def construct(self):
        front = Square(fill_opacity=1, color=GREEN).set_z_index(2)
        self.add_foreground_mobject(front)
        self.play(FadeIn(Circle(fill_opacity=1, color=RED, radius=2)))
        front.set_z_index(-1)
        self.bring_to_back(front)
        self.play(front.animate.shift(RIGHT), run_time=1.2)
        self.remove_foreground_mobject(front)
        self.wait(0.3)


class Colours(Scene):
    def construct(self):
        shape = Star(fill_opacity=0.7).set_color_by_gradient(RED, YELLOW, BLUE).set_stroke(WHITE, 6, background=True)
        shape.set_sheen(0.4, UR)
        self.play(DrawBorderThenFill(shape), run_time=1.2)
        self.camera.background_color = "#223344"
        self.play(shape.animate.set_color(GREEN))
        self.play(FadeToColor(shape, PINK), run_time=0.5)
        self.add(Dot().set_opacity(0.2))
        self.wait(0.2)


class Overrides(Scene):
    """A scene with a setup, a tear_down and a play of its own."""

    def setup(self):
        self.counter = 0

    def play(self, *args, **kwargs):
        self.counter += 1
        super().play(*args, **kwargs)

    def wait(self, duration=0.2, **kwargs):
        super().wait(duration * 2, **kwargs)

    def construct(self):
        self.play(Create(Square()))
        self.wait()
        self.play(Write(Text(str(self.counter))))

    def tear_down(self):
        self.play(FadeOut(*self.mobjects), run_time=0.3)


class Silhouette(Scene):
    """Special shapes: dashed lines, cut-outs, broken points, point clouds."""

    def construct(self):
        hole = Cutout(Square(4, fill_opacity=1, color=BLUE), Circle(), color=RED)
        dashes = DashedVMobject(Circle(2))
        cloud = PMobject().add_points([[x / 10, x / 20, 0] for x in range(-20, 20)], color=YELLOW)
        broken = Square()
        broken.points[3] = np.nan
        self.add(cloud, broken, VGroup())
        self.play(FadeIn(hole), Create(dashes), run_time=1.1)
        self.play(cloud.animate.shift(UP), run_time=0.5)
        joints = [LineJointType.ROUND, LineJointType.BEVEL, LineJointType.MITER]
        caps = [CapStyleType.ROUND, CapStyleType.SQUARE, CapStyleType.BUTT]
        lines = VGroup(*[Triangle(stroke_width=15, joint_type=j, cap_style=c) for j, c in zip(joints, caps)])
        self.play(Create(lines.arrange(RIGHT)), run_time=0.7)


class Numbers(Scene):
    """Keeps numbers and names that are hard to write down."""

    def construct(self):
        self.number, self.names = 2**20000, {"\ud800": 1}
        setattr(self, "\ud800", 1)
        self.play(Create(Square()), run_time=0.4)


def texture(colour):
    from PIL import Image

    Image.new("RGB", (16, 9), colour).save("texture.png")
    return "texture.png"


class SameTexture(Scene):
    """Colours shapes by an image file that changes: Manim reads it once."""

    def construct(self):
        self.play(FadeIn(Circle(fill_opacity=1).color_using_background_image(texture("red"))), run_time=0.4)
        self.play(FadeIn(Square(fill_opacity=1).color_using_background_image(texture("lime"))), run_time=0.4)


class TextureScale(Scene):
    """Changes the camera's frame after a texture was shown."""

    def construct(self):
        self.add(Circle(2, fill_opacity=1).color_using_background_image(texture("red")))
        self.wait(0.2)
        self.camera.frame_width = 28
        self.play(Create(Square()), run_time=0.4)


class KnownTexture(Scene):
    """Shows a texture between two plays that are equal but for what Manim's camera knows since."""

    def construct(self):
        import random

        shape, dot = Circle(fill_opacity=1).color_using_background_image(texture("red")), Dot(DOWN * 2)
        self.add(Dot(UP).add_updater(lambda m: random.random()), dot)
        for _ in range(3):
            self.play(Indicate(dot), run_time=0.3)
        self.play(FadeIn(shape), run_time=0.2)
        self.remove(shape)
        self.play(Indicate(dot), run_time=0.3)
        self.play(FadeIn(Dot([random.random(), 0, 0])), run_time=0.2)


class Panels(Scene):
    """Moves, between two plays that Manim takes for equal, what its key leaves out: an attribute ``background``."""

    def construct(self):
        panel, dot = VGroup(Circle(0.5), Dot()), Dot(DOWN * 2)
        panel.background = Rectangle(fill_opacity=1, color=BLUE)
        self.add(panel, VGroup(panel.background, Square()).set_z_index(-1), dot)
        for _ in range(3):
            self.play(Indicate(dot), run_time=0.3)
        panel.background.shift(UP)
        self.play(Indicate(dot), run_time=0.3)


class Node(VGroup):
    """Equals every other node of its value."""

    def __init__(self, value, **kwargs):
        self.value = value
        super().__init__(Circle(0.5), Dot(), **kwargs)

    def __eq__(self, other):
        return isinstance(other, Node) and other.value == self.value

    def __hash__(self):
        return hash(self.value)


class Tree(Scene):
    """Moves, between two plays that Manim takes for equal, the second of two equal mobjects."""

    def construct(self):
        one, other, dot = VGroup(Node(7), Square()), VGroup(Node(7), Dot()), Dot(DOWN * 2)
        self.add(one, other, dot)
        for _ in range(3):
            self.play(Indicate(dot), run_time=0.3)
        other[0].shift(UP)
        self.play(Indicate(dot), run_time=0.3)
