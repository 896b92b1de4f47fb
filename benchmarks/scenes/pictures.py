"""Twelve scenes of a few seconds with different kinds of pictures, for the choice of encoder settings."""

from manim import *


class Photos(Scene):
    """Textures with noise, moved and scaled."""

    def construct(self):
        rng = np.random.default_rng(2)
        y, x = np.mgrid[0:400, 0:600]
        waves = 128 + 60 * np.sin(x / 17) * np.cos(y / 23) + rng.normal(0, 12, x.shape)
        texture = np.stack([waves, waves * 0.8 + x / 12, 255 - waves * 0.7], axis=-1).clip(0, 255).astype(np.uint8)
        left, right = ImageMobject(texture), ImageMobject(texture[::-1, ::-1].copy())
        left.shift(LEFT * 3), right.shift(RIGHT * 3)
        self.play(FadeIn(left))
        self.play(FadeIn(right, shift=UP), left.animate.scale(1.4))
        self.play(left.animate.shift(RIGHT * 6), right.animate.shift(LEFT * 6), run_time=2)


class Gradients(Scene):
    """Wide, dark and bright gradients, in which bands would show."""

    def construct(self):
        ramp = np.linspace(0, 255, 1920)[None, :, None]
        image = np.broadcast_to(ramp * np.array([0.25, 0.35, 0.6]), (1080, 1920, 3)).astype(np.uint8)
        sky = ImageMobject(image).set(height=8)
        ball = Circle(2, fill_opacity=1, stroke_width=0).set_color([BLUE_E, BLUE_A]).set_sheen_direction(UP)
        self.play(FadeIn(sky))
        self.play(FadeIn(ball))
        self.play(ball.animate.shift(RIGHT * 3), run_time=2)
        self.play(FadeOut(sky), ball.animate.scale(0.4))


class ManyDots(Scene):
    """A thousand small things that move by themselves."""

    def construct(self):
        rng = np.random.default_rng(3)
        dots = VGroup(*(Dot(radius=0.04, color=random_bright_color()) for _ in range(600)))
        for dot in dots:
            dot.move_to([*rng.uniform((-7, -4), (7, 4)), 0])
            dot.speed = np.array([*rng.uniform(-1, 1, 2), 0])
            dot.add_updater(lambda mobject, dt: mobject.shift(mobject.speed * dt))
        self.add(dots)
        self.wait(3)


class Solids(ThreeDScene):
    """Shaded faces of nearly the same colour, and a camera that turns."""

    def construct(self):
        self.set_camera_orientation(phi=70 * DEGREES, theta=30 * DEGREES)
        sphere = Sphere(radius=1.5, resolution=(16, 16)).shift(LEFT * 2.5)
        torus = Torus(major_radius=1.2, minor_radius=0.5, resolution=(16, 16)).shift(RIGHT * 2.5)
        self.add(sphere, torus, Cube(0.8, fill_opacity=0.8))
        self.begin_ambient_camera_rotation(rate=0.5)
        self.wait(2)
        self.play(sphere.animate.scale(0.6), Rotate(torus, PI / 2, axis=RIGHT), run_time=1.5)


class DenseText(Scene):
    """A page of small text that scrolls."""

    def construct(self):
        line = "The quick brown fox jumps over the lazy dog 0123456789 while every letter keeps a sharp edge"
        page = VGroup(*(Text(f"{number:02} {line}", font_size=18) for number in range(14)))
        page.arrange(DOWN, buff=0.12, aligned_edge=LEFT)
        self.play(FadeIn(page))
        self.play(page.animate.shift(UP * 2), run_time=2)
        self.wait(0.5)
        self.play(page[10].animate.set_color(YELLOW), page[11].animate.set_color(RED))


class Fades(Scene):
    """Large areas that fade, all at once."""

    def construct(self):
        squares = VGroup(*(Square(2.5, fill_opacity=1, color=color) for color in (RED, GREEN, BLUE, GOLD, PURPLE)))
        squares.arrange(RIGHT, buff=0.1)
        self.play(LaggedStart(*(FadeIn(square) for square in squares), lag_ratio=0.3), run_time=2)
        self.play(squares.animate.set_opacity(0.2), run_time=1)
        self.play(FadeOut(squares), run_time=1.5)


class Overlaps(Scene):
    """Transparent shapes that move over each other."""

    def construct(self):
        rng = np.random.default_rng(5)
        shapes = VGroup(*(Circle(1.6, fill_opacity=0.3, color=color) for color in (RED, GREEN, BLUE, YELLOW) * 3))
        for shape in shapes:
            shape.move_to([*rng.uniform((-4, -2), (4, 2)), 0])
        self.play(FadeIn(shapes))
        self.play(*(shape.animate.move_to(-shape.get_center()) for shape in shapes), run_time=3)


class FastCamera(MovingCameraScene):
    """Fast movements and zooms of the camera over a plane with labels."""

    def construct(self):
        plane = NumberPlane(x_range=(-12, 12), y_range=(-8, 8))
        labels = VGroup(*(Text(f"({x}, {y})", font_size=20).move_to([x, y, 0]) for x in (-6, 0, 6) for y in (-4, 0, 4)))
        self.add(plane, labels)
        for target, zoom in (((6, 4, 0), 0.5), ((-6, -4, 0), 0.8), ((0, 0, 0), 1.6)):
            self.play(self.camera.frame.animate.move_to(target).set(width=14 * zoom), run_time=0.9)
        self.wait(0.3)


class Curves(Scene):
    """Graphs that are drawn, with a tangent that moves."""

    def construct(self):
        axes = Axes(x_range=(-4, 4), y_range=(-2, 2)).add_coordinates()
        graph = axes.plot(lambda x: np.sin(2 * x) + x / 4, color=BLUE)
        position = ValueTracker(-3.5)
        line = always_redraw(
            lambda: TangentLine(graph, (position.get_value() + 4) / 8, length=4, color=YELLOW)
        )
        self.play(Create(axes), run_time=1)
        self.play(Create(graph), run_time=1)
        self.add(line)
        self.play(position.animate.set_value(3.5), run_time=2)


class Warp(Scene):
    """A grid that a complex function bends."""

    def construct(self):
        grid = NumberPlane(x_range=(-6, 6), y_range=(-4, 4)).add(Circle(2, color=RED))
        grid.prepare_for_nonlinear_transform()
        self.add(grid)
        self.play(grid.animate.apply_complex_function(lambda z: z + 0.3 * np.sin(z * 1.2)), run_time=3)


class Flow(Scene):
    """A field of arrows, and a bright line through it."""

    def construct(self):
        field = ArrowVectorField(lambda point: np.array([np.sin(point[1]), np.cos(point[0]), 0]))
        path = ParametricFunction(lambda t: np.array([5 * np.cos(t), 3 * np.sin(2 * t), 0]), t_range=(0, TAU), color=WHITE)
        self.play(Create(field), run_time=1.5)
        self.play(ShowPassingFlash(path.set_stroke(width=8), time_width=0.4), run_time=2)


class Morphs(Scene):
    """Formulas and words that turn into each other."""

    def construct(self):
        words = [Text(word, font_size=90) for word in ("Transform", "Replacement", "Matching", "Shapes")]
        self.play(Write(words[0]))
        for before, after in zip(words, words[1:], strict=False):
            self.play(ReplacementTransform(before, after))
