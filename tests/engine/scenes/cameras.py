"""Cameras that move, zoom, turn; images."""

from manim import *


class Moving(MovingCameraScene):
    def construct(self):
        square, dot = Square(), Dot(RIGHT * 2)
        self.add(square, dot)
        self.camera.frame.save_state()
        self.play(self.camera.frame.animate.scale(0.5).move_to(dot), run_time=1.3)
        self.play(square.animate.rotate(1))
        self.camera.frame.add_updater(lambda m: m.move_to(dot))
        self.play(dot.animate.shift(UP), run_time=1.2)
        self.camera.frame.clear_updaters()
        self.play(Restore(self.camera.frame))
        self.play(self.camera.auto_zoom([square, dot], margin=1), run_time=0.5)


class Zoomed(ZoomedScene):
    def __init__(self, **kwargs):
        super().__init__(
            zoom_factor=0.3, zoomed_display_height=2, zoomed_display_width=3, image_frame_stroke_width=3, **kwargs
        )

    def construct(self):
        dot = Dot()
        self.add(NumberPlane(), dot)
        self.activate_zooming(animate=False)
        self.play(self.zoomed_camera.frame.animate.shift(RIGHT), run_time=1.2)
        self.play(dot.animate.shift(RIGHT), self.zoomed_camera.frame.animate.set_width(1))
        self.wait(0.3)


class ZoomedAnimated(ZoomedScene):
    def construct(self):
        self.add(Dot(), Square())
        self.zoomed_display.shift(DOWN)
        self.activate_zooming(animate=True)
        self.play(self.zoomed_display.animate.scale(0.5), run_time=0.6)
        self.play(self.get_zoomed_display_pop_out_animation(), rate_func=lambda t: smooth(1 - t), run_time=0.6)


class Solid(ThreeDScene):
    def construct(self):
        axes = ThreeDAxes()
        surface = Surface(lambda u, v: [u, v, np.sin(u * v)], u_range=[-2, 2], v_range=[-2, 2], resolution=6)
        label = Text("fixed").to_corner(UL)
        self.set_camera_orientation(phi=65 * DEGREES, theta=-45 * DEGREES)
        self.add_fixed_in_frame_mobjects(label)
        self.add(axes)
        self.play(Create(surface), run_time=1.2)
        self.begin_ambient_camera_rotation(rate=0.5)
        self.wait(1.2)
        self.stop_ambient_camera_rotation()
        self.move_camera(phi=30 * DEGREES, theta=0, zoom=1.2, frame_center=[1, 0, 0], run_time=1.1)
        self.remove_fixed_in_frame_mobjects(label)
        self.wait(0.2)


class Bodies(ThreeDScene):
    def construct(self):
        self.set_camera_orientation(phi=70 * DEGREES, theta=30 * DEGREES)
        ball, cube = Sphere(resolution=(6, 6)).shift(LEFT * 2), Cube().shift(RIGHT * 2)
        cone, torus = Cone(resolution=6), Torus(major_radius=1, minor_radius=0.3, resolution=5)
        text = Text("upright").move_to([0, 0, 2])
        self.add_fixed_orientation_mobjects(text)
        self.begin_3dillusion_camera_rotation(rate=2)
        self.play(FadeIn(ball), GrowFromCenter(cube), run_time=1.2)
        self.stop_3dillusion_camera_rotation()
        self.play(Rotate(cube, PI / 3, axis=UP), ReplacementTransform(ball, cone), run_time=1.1)
        self.play(FadeIn(torus), self.camera.gamma_tracker.animate.set_value(0.3), run_time=0.5)


class Projection(ThreeDScene):
    """Reads the camera's rotation, which Manim brings up to date when it draws."""

    def construct(self):
        marker = Dot()
        self.set_camera_orientation(phi=1, theta=0.3)
        marker.add_updater(lambda m: m.move_to(self.camera.project_point(np.array([1.0, 1.0, 1.0]))))
        self.add_fixed_in_frame_mobjects(marker)
        self.add(Cube())
        self.begin_ambient_camera_rotation(0.6)
        self.wait(2.3)


class Shadeless(ThreeDScene):
    def construct(self):
        self.camera.should_apply_shading = False
        self.camera.exponential_projection = True
        self.set_camera_orientation(phi=0.8)
        self.camera.light_source.move_to(3 * IN)
        arrow = Arrow3D(ORIGIN, [1, 1, 1], resolution=4)
        prism = Prism(dimensions=[1, 2, 1]).set_fill(BLUE, 0.5)
        self.play(Create(arrow), FadeIn(prism), run_time=1.1)
        self.camera.should_apply_shading = True
        self.play(prism.animate.rotate(1, axis=RIGHT), run_time=1.1)


class Images(Scene):
    def construct(self):
        picture = ImageMobject(np.uint8([[[255, 0, 0, 255], [0, 255, 0, 120]], [[0, 0, 255, 255], [9, 9, 9, 255]]]))
        picture.height = 3
        picture.set_resampling_algorithm(RESAMPLING_ALGORITHMS["nearest"])
        self.play(FadeIn(picture), run_time=1.1)
        self.play(picture.animate.rotate(0.4).shift(RIGHT), Create(Square()), run_time=1.2)
        other = ImageMobject(np.uint8(np.arange(48).reshape(4, 4, 3) * 5))
        other.height = 2
        self.play(FadeOut(picture), FadeIn(other), run_time=0.5)


class BackgroundImage(Scene):
    def construct(self):
        from PIL import Image

        gradient = np.zeros((90, 160, 3), np.uint8)
        gradient[..., 0] = np.arange(160)
        gradient[..., 1] = 200
        Image.fromarray(gradient).save("gradient.png")
        shape = Circle(2, fill_opacity=1).color_using_background_image("gradient.png")
        self.play(Create(shape), run_time=1.2)
        self.play(shape.animate.shift(RIGHT))


class FixedScale(Scene):
    """Manim's plain camera keeps the scale of the first frame that it draws."""

    def construct(self):
        self.camera.frame_width = 10
        self.add(Square())
        self.wait(0.2)
        self.camera.frame_width = 20
        self.play(Create(Circle()), run_time=1.2)


class AsksForKinds(MovingCameraScene):
    """Looks between its plays at what its cameras are."""

    def construct(self):
        self.add(Square())
        self.play(Create(Circle()), run_time=0.3)
        if type(self.camera) is MovingCamera and self.camera.__class__ is MovingCamera:
            self.add(Dot(RIGHT))
        self.play(self.camera.frame.animate.scale(0.8), run_time=0.3)
        if isinstance(self.camera, MovingCamera) and type(self.renderer.camera).__mro__[1] is Camera:
            self.add(Dot(LEFT))
        self.wait(0.2)


class AsksForZoomed(ZoomedScene):
    def construct(self):
        self.add(Square())
        self.activate_zooming()
        self.wait(0.2)
        kinds = [type(self.camera) is MultiCamera, type(self.zoomed_camera) is MovingCamera]
        self.play(FadeIn(Dot(sum(kinds) * RIGHT)), run_time=0.3)
