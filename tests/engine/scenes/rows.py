"""Scenes that draw on a part of the frame: at its edges, far outside of it, and by every way that Manim has."""

from manim import *


class Strokes(Scene):
    """Sharp tips, square ends, strokes behind, and a shape that leaves the frame."""

    def construct(self):
        tip = VMobject(stroke_width=40).set_points_as_corners([LEFT * 2, RIGHT, LEFT * 2 + UP * 0.5])
        end = Line(UP * 3, UP * 2, stroke_width=60, cap_style=CapStyleType.SQUARE)
        behind = Text("behind").set_stroke(YELLOW, width=30, background=True).to_edge(DOWN)
        plain = Square(0.2, fill_opacity=1, stroke_width=0).shift(RIGHT * 4)
        self.play(Rotate(tip), run_time=0.5)
        self.play(end.animate.shift(DOWN * 5), run_time=0.5)
        self.play(FadeIn(behind, shift=UP), plain.animate.set_color([RED, BLUE]), run_time=0.5)
        self.play(tip.animate.shift(UP * 9), end.animate.shift(DOWN * 1e9), plain.animate.scale(1e9), run_time=0.5)
        self.play(FadeOut(behind), run_time=0.3)


class Kinds(Scene):
    """Points, an image, and a shape that has the colours of an image, one after the other."""

    def construct(self):
        cloud = PGroup(*(Point(UP * y / 2, color=RED) for y in range(-3, 4))).set_stroke_width(4)
        texture = np.zeros((20, 20, 4), np.uint8)
        texture[5:15, 5:15] = 255
        image = ImageMobject(texture).scale(3)
        dot = Dot(DOWN * 3)
        self.play(cloud.animate.shift(RIGHT), run_time=0.4)
        self.remove(cloud)
        self.play(dot.animate.shift(LEFT), run_time=0.3)
        self.play(image.animate.shift(UP * 2), run_time=0.4)
        self.remove(image)
        self.play(dot.animate.shift(LEFT), run_time=0.3)


class ChangesBackground(Scene):
    """Sets another background in a play, and changes its pixels without Manim."""

    def construct(self):
        dot = Dot()
        self.play(dot.animate.shift(UP), run_time=0.4)
        dot.add_updater(lambda m, dt: setattr(self.camera, "background_color", random_color()))
        self.play(dot.animate.shift(DOWN), run_time=0.4)
        dot.clear_updaters()
        dot.add_updater(lambda m, dt: self.camera.background.__iadd__(3))
        self.play(dot.animate.shift(LEFT), run_time=0.6)
        dot.clear_updaters()
        self.play(dot.animate.shift(LEFT), run_time=0.6)


class HoldsBackground(Scene):
    """Changes pixels of the background that it has held from the beginning."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.held = self.camera.background[:9]

    def construct(self):
        dot = Dot()
        dot.add_updater(lambda m, dt: self.held.__iadd__(3))
        self.play(dot.animate.shift(LEFT), run_time=0.6)


class Follows(MovingCameraScene):
    """The camera moves, so that what stands still is elsewhere."""

    def construct(self):
        text, dot = Text("still").to_edge(DOWN), Dot(UP)
        self.add(text, dot)
        self.play(dot.animate.shift(RIGHT), run_time=0.4)
        self.play(self.camera.frame.animate.scale(0.6).shift(DOWN), run_time=0.6)
        self.play(dot.animate.shift(LEFT), run_time=0.4)


class Turns(ThreeDScene):
    """A small solid in space, and a label that stands in front of it."""

    def construct(self):
        self.set_camera_orientation(phi=1, theta=1)
        cube, label = Cube(0.5), Text("front").to_corner(UL)
        self.add_fixed_in_frame_mobjects(label)
        self.play(cube.animate.shift(OUT * 2), run_time=0.5)
        self.move_camera(phi=0.3, run_time=0.4)
