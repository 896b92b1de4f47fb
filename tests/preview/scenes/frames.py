from manim import *


class Tricky(MovingCameraScene):
    def construct(self):
        square, dot = Square(), Dot()
        self.add(NumberPlane())
        self.play(Create(square), run_time=0.5)
        self.wait(0.4)
        self.play(square.animate.shift(RIGHT), rate_func=there_and_back, run_time=0.4)
        self.play(square.animate.shift(RIGHT), rate_func=there_and_back, run_time=0.4)
        self.wait(0.4)
        t = ValueTracker(0)
        dot.add_updater(lambda d: d.move_to(UP * t.get_value()))
        self.add(dot)
        self.play(t.animate.set_value(2), self.camera.frame.animate.scale(0.7), run_time=0.5)
        self.wait(3, stop_condition=lambda: self.renderer.time > 3)
        dot.add_updater(lambda d, dt: d.shift(LEFT * dt))
        self.wait(1, stop_condition=lambda: False)
        self.next_section("skipped", skip_animations=True)
        self.play(FadeOut(square))
        self.next_section("back")
        self.play(FadeIn(square), run_time=0.3)


class Pixels(Scene):
    def construct(self):
        c = Circle()
        self.play(Create(c), run_time=0.4)
        if self.camera.pixel_array.sum():
            self.play(c.animate.shift(UP), run_time=0.4)
        self.wait(0.3)
        self.wait(0.3)


class Turns(ThreeDScene):
    def construct(self):
        self.set_camera_orientation(phi=70 * DEGREES, theta=30 * DEGREES)
        self.add(Cube())
        self.play(Create(Square()), run_time=0.4)
        self.begin_ambient_camera_rotation(rate=1)
        self.wait(0.4)


class Stands(Scene):
    def construct(self):
        self.add(Circle())


class Repeats(Scene):
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
