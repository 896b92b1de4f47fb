"""Scenes of the kinds that people have."""

from manim import *


class Film(MovingCameraScene):
    """Sections, sound, subtitles, and a camera that moves."""

    def construct(self):
        print("said", config.background_color, config.save_sections)
        self.next_section("the first one")
        self.add_subcaption("A square", duration=0.5)
        self.add_sound("sounds/a beep.wav")
        self.play(Create(Square()), run_time=0.5)
        self.next_section(section_type=DefaultSectionType.NORMAL)
        self.play(self.camera.frame.animate.scale(0.5), run_time=0.5, subcaption="Nearer")
        self.next_section("left out", skip_animations=True)
        self.play(FadeIn(Circle()), run_time=0.3)
        self.next_section("the last one")
        self.wait(0.3)


class Space(ThreeDScene):
    def construct(self):
        self.set_camera_orientation(phi=60 * DEGREES, theta=-45 * DEGREES)
        self.add_fixed_in_frame_mobjects(Text("3D").to_corner(UL))
        self.begin_ambient_camera_rotation(rate=0.5)
        self.play(Create(Surface(lambda u, v: (u, v, u * v), resolution=4)), run_time=0.5)
        self.wait(0.3)


class Configures(Scene):
    """Changes the configuration while it runs, and renders another scene with one of its own."""

    def construct(self):
        self.camera.background_color = GREEN
        self.play(Create(Square()), run_time=0.5)
        with tempconfig({"frame_rate": 5, "pixel_width": 80, "pixel_height": 44, "output_file": "inner film"}):
            Part().render()
        self.play(Create(Circle()), run_time=0.5)


class Part(Scene):
    def construct(self):
        self.play(FadeIn(Dot()), run_time=0.6)


class Picture(Scene):
    def construct(self):
        self.add(Text("Nothing moves: ü 漢字"), NumberPlane())


class Frames(Scene):
    def construct(self):
        self.play(Rotate(Square()), run_time=0.3)


class Parts(Scene):
    """Begins with plays that ``-n`` skips, with something that stands still in them."""

    def construct(self):
        self.add(Square())
        for shape in (Circle(), Triangle(), Dot(), Star()):
            self.play(FadeIn(shape), run_time=0.3)
