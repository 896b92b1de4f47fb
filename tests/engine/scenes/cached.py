"""Scenes that are rendered twice, with a change between."""

import functools
import itertools
import os

from manim import *

CHANGE = os.environ.get("CHANGE")


class Twelve(Scene):
    """Twelve plays of five frames; the seventh goes another way after the change, and comes back."""

    def construct(self):
        dot = Dot(UP * 2)
        self.add(dot, Square(0.5))
        for number in range(6):
            self.play(dot.animate.shift(RIGHT * (1 if number % 2 else -0.9)), run_time=0.5)
            self.play(Rotate(dot, 1 + number, about_point=ORIGIN), run_time=0.5, rate_func=way(number))


def way(number):
    return there_and_back if CHANGE and number == 3 else (lambda t: there_and_back(t) ** 1.5)


class Alike(Scene):
    """Plays that begin with the same picture and the same animations, and go another way after the change.

    After them a play is repeated, which Manim draws once.
    """

    def construct(self):
        self.add(Square(0.5))
        for number in range(5):
            dot = Dot(UP)
            dot.add_updater(lambda dot, dt: dot.shift(dt * SPEED * RIGHT))
            self.add(dot)
            self.wait(0.5)
            self.remove(dot)
            self.play(Create(Circle(1 + 0.1 * number)), run_time=0.3)
            self.clear()
        still = Triangle()
        for _ in range(3):
            self.play(FadeIn(still), run_time=0.3)
            self.remove(still)


SPEED = 2 if CHANGE else 1


class Returning(Scene):
    """Plays of fifteen frames that begin with the same picture, end with the same, and differ between after the change.

    Each is followed by one that does not differ.
    """

    def construct(self):
        side = LEFT if CHANGE else RIGHT
        low, high = Square(0.8, fill_opacity=1, color=RED), Square(0.8, fill_opacity=1, color=RED)
        between = Square(0.8, fill_opacity=0.5, color=BLUE).shift(UP * 0.3)
        self.add(low, between, high)
        pair = [Dot(UP * 2, radius=0.3), Square(0.2).shift(UP * 2).set_z_index(1)]
        group = VGroup(*reversed(pair)) if CHANGE else VGroup(*pair)
        for play in (
            low.animate(rate_func=there_and_back).shift(side),
            (low if CHANGE else high).animate(rate_func=there_and_back).shift(RIGHT),
            Rotate(low, 1, rate_func=squish_rate_func(there_and_back, 0.2, 0.6 if CHANGE else 0.7)),
            Rotate(low, TAU if CHANGE else -TAU),
            Transform(low, low.copy().shift(RIGHT), path_arc=1 if CHANGE else -1),
            FadeIn(group, lag_ratio=1),
            Write(Circle(0.7), stroke_color=RED if CHANGE else GREEN),
            Transform(high, (Star() if CHANGE else Triangle()).shift(DOWN), rate_func=there_and_back_with_pause),
        ):
            self.play(play, run_time=1.5)
            self.play(Indicate(between), FadeOut(Dot(DOWN)), run_time=1.5)


class Long(Scene):
    """A play of several chunks, which begins and ends in the same way after the change."""

    def construct(self):
        turn = squish_rate_func(there_and_back, 0.1, 0.8 if CHANGE else 0.9)
        self.play(Rotate(Square(), 1, rate_func=turn), run_time=4)


class Styles(Scene):
    """Only what the frames show changes: no point and no time does."""

    def construct(self):
        shape = Triangle(stroke_width=20, fill_opacity=0.5, joint_type=LineJointType.ROUND)
        other = Square(fill_opacity=1, color=RED)
        self.add(shape, other)
        if CHANGE == "joint":
            shape.joint_type = LineJointType.MITER
        if CHANGE == "width":
            shape.set_stroke(width=21)
        if CHANGE == "order":
            other.set_z_index(-1)
        if CHANGE == "colour":
            shape.set_fill(GREEN)
        if CHANGE == "background":
            self.camera.background_color = "#123456"
        if CHANGE == "pixels":
            self.camera.background = self.camera.background.copy()
            self.camera.background[20:40, 20:40] = 200
        if CHANGE == "frame":
            self.camera.frame_width, self.camera.frame_height = 10, 10 * 9 / 16
        self.play(shape.animate.shift(RIGHT), run_time=0.8)
        self.wait(0.5)


class Custom(Square):
    """Is drawn by its own method, from values that only the method knows."""

    def get_fill_rgbas(self):
        return np.array([[1, 0, 0, 0.5 if CHANGE else 1]])


class Own(Scene):
    def construct(self):
        self.play(FadeIn(Custom(fill_opacity=1)), run_time=0.5)


class Instance(Scene):
    def construct(self):
        square = Square(fill_opacity=1)
        square.get_fill_rgbas = lambda: np.array([[0, 1, 0, 0.5 if CHANGE else 1]])
        self.play(square.animate(suspend_mobject_updating=False).shift(RIGHT), run_time=0.5)
        self.add(square)
        self.wait(0.3, frozen_frame=False)


class Patched(Scene):
    def construct(self):
        width = 9 if CHANGE else 3
        VMobject.get_stroke_width = lambda self, background=False: 0 if background else width
        self.play(Create(Circle()), run_time=0.5)


class Later(Scene):
    """Only the second play has a method of the scene: the first one has the same classes as Manim."""

    def construct(self):
        self.play(Create(Circle()), run_time=0.5)
        width = 9 if CHANGE else 3
        VMobject.get_stroke_width = lambda self, background=False: 0 if background else width
        self.play(Create(Circle(2)), run_time=0.5)


class Picture(Scene):
    """A picture that moves, and whose pixels change in their place."""

    def construct(self):
        picture = ImageMobject(np.uint8(np.arange(48).reshape(4, 4, 3) * 5).repeat(40, 0).repeat(40, 1))
        picture.height = 4

        def update(picture):
            picture.shift(0.1 * RIGHT)
            if CHANGE and picture.get_x() > 0.25:
                picture.pixel_array[0] //= 2

        self.add(picture.add_updater(update))
        self.wait(0.5)


class Space(ThreeDScene):
    def construct(self):
        self.set_camera_orientation(phi=1, theta=0.5)
        cube, label = VGroup(Cube(), ThreeDAxes()), Text("up").shift(UP)
        if CHANGE:
            self.camera.light_source.move_to([5, 5, 9])
        else:
            self.camera.light_source.move_to([-5, 5, 9])
        self.add_fixed_orientation_mobjects(label)
        self.add(cube)
        self.begin_ambient_camera_rotation(1)
        self.wait(0.8)


class Still(Scene):
    """What stands still differs in a play of several parts."""

    def construct(self):
        self.add(Square(color=RED if CHANGE else BLUE))
        self.play(Dot().animate.shift(UP), run_time=2.5)


class Counter(Scene):
    """An updater that counts for itself: each render gives the same frames all the same."""

    def construct(self):
        numbers = itertools.count()
        self.add(Dot().add_updater(lambda m: m.move_to([next(numbers) / 10, 0, 0])))
        self.wait(1.2)
        self.play(Create(Square()), run_time=0.6)


class Joints(Scene):
    def construct(self):
        if CHANGE:
            import cairo
            from manim.camera import camera

            camera.LINE_JOIN_MAP[LineJointType.AUTO] = cairo.LineJoin.ROUND
        self.play(FadeIn(Triangle(stroke_width=30)), run_time=0.4)


class Depths(ThreeDScene):
    """Paints what has no curves before or behind what has."""

    def construct(self):
        picture = ImageMobject(np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]]))
        picture.height = 3
        points = PMobject(stroke_width=30).add_points([[x / 10, 0, 0] for x in range(-20, 20)], color=YELLOW)
        self.add(picture, points, Square(2, fill_opacity=1).set_shade_in_3d(True).shift(OUT))
        if CHANGE:
            picture.shade_in_3d = points.shade_in_3d = True
        self.play(FadeIn(Dot(LEFT * 4)), run_time=0.4)


class Wider(Scene):
    def construct(self):
        width = VMobject.get_stroke_width
        if CHANGE:
            VMobject.get_stroke_width = functools.partialmethod(
                lambda shape, background=False, by=1: width(shape, background) * by, by=5
            )
        self.play(FadeIn(Triangle()), run_time=0.4)


class Shades(ThreeDScene):
    """Has a function of Manim's camera module replaced."""

    def construct(self):
        from manim.camera import three_d_camera

        @functools.wraps(three_d_camera.get_shaded_rgb)
        def shade(rgb, *_):
            return rgb * (0.9 if CHANGE else 0.5)

        three_d_camera.get_shaded_rgb = shade
        self.set_camera_orientation(phi=1, theta=1)
        self.play(Rotate(Cube()), run_time=0.4)


class Cached(Scene):
    """Has a method of Manim replaced by an object that is callable, and no function."""

    def construct(self):
        width = 9 if CHANGE else 3
        VMobject.get_stroke_width = functools.cache(lambda self, background=False: 0 if background else width)
        self.play(FadeIn(Triangle()), run_time=0.4)
