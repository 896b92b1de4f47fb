"""Scenes that cannot be stepped without drawing, or that fail."""

import itertools
import os
import sys
import threading
import time

from manim import *
from manim.renderer.cairo_renderer import CairoRenderer


class ReadsPixels(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=1.2)
        brightness = self.camera.pixel_array[..., :3].mean()
        self.play(Create(Circle(radius=1 + brightness / 100)))


class ReadsImage(Scene):
    def construct(self):
        dot = Dot()
        dot.add_updater(lambda m: m.move_to([np.asarray(self.camera.get_image())[..., 0].mean() / 50, 0, 0]))
        self.add(dot, Square(fill_opacity=1))
        self.wait(1.3, frozen_frame=False)


class ReadsFrame(Scene):
    def construct(self):
        self.play(Create(Square()))
        self.renderer.update_frame(self)
        self.add(Text(str(int(self.renderer.get_frame().sum()) % 1000)))
        self.wait(0.4)


class ReadsZoomed(ZoomedScene):
    """Looks through its other camera."""

    def construct(self):
        square = Square(fill_opacity=1)
        self.add(square)
        self.activate_zooming()
        self.wait(0.3)
        self.play(square.animate.shift(RIGHT * self.zoomed_camera.pixel_array[..., :3].mean() / 50), run_time=0.3)


class ReadsDisplay(ZoomedScene):
    def construct(self):
        square = Square(0.5, fill_opacity=1)
        self.add(square)
        self.activate_zooming()
        self.play(square.animate.shift(RIGHT), run_time=0.3)
        self.play(square.animate.shift(RIGHT * self.zoomed_display.pixel_array[..., :3].mean() / 50), run_time=0.3)


class ChangesCamera(Scene):
    def construct(self):
        square = Square(fill_opacity=1)
        self.play(FadeIn(square), run_time=0.3)
        self.renderer.camera = MovingCamera()
        self.play(Rotate(square), run_time=0.3)
        self.play(square.animate.shift(RIGHT * self.camera.pixel_array[..., :3].mean() / 10), run_time=0.3)


class Swallows(Scene):
    """Catches everything an Exception can be."""

    def construct(self):
        self.play(Create(Square()))
        try:
            value = float(self.camera.pixel_array.mean())
        except Exception:
            value = 0.0
        self.play(Create(Circle(radius=1 + value / 100)), run_time=0.5)


class Threads(Scene):
    def construct(self):
        done = threading.Event()
        worker = threading.Thread(target=done.wait, daemon=True)
        worker.start()
        self.play(Create(Square()), run_time=0.8)
        done.set()
        worker.join()
        self.wait(0.2)


class OwnCamera(Camera):
    def capture_mobjects(self, mobjects, **kwargs):
        super().capture_mobjects(mobjects, **kwargs)
        self.pixel_array[:10] = 255


class WithOwnCamera(Scene):
    def __init__(self, **kwargs):
        super().__init__(camera_class=OwnCamera, **kwargs)

    def construct(self):
        self.play(Create(Square()), run_time=0.8)


class PaintChanges(Square):
    """Moves when it is drawn: a process that steps without drawing cannot follow."""

    def get_fill_rgbas(self):
        self.points[:, 0] += 0.02
        return super().get_fill_rgbas()


class PaintingMoves(Scene):
    def construct(self):
        self.add(PaintChanges(fill_opacity=1))
        self.play(Create(Circle()), run_time=1.5)
        self.wait(0.5)


class PaintCounts(Square):
    """Painting it is noted in a list."""

    def __init__(self, **kwargs):
        self.painted = []
        super().__init__(**kwargs)

    def get_fill_rgbas(self):
        self.painted.append(1)
        return super().get_fill_rgbas()


class PaintingCounts(Scene):
    def construct(self):
        square = PaintCounts(fill_opacity=1)
        self.add(square)
        self.play(Create(Circle()), run_time=0.5)
        self.play(square.animate.shift(RIGHT * len(square.painted) / 10), run_time=0.5)


PAINTED = []


class PaintTells(Square):
    """Painting it is noted outside it."""

    def get_fill_rgbas(self):
        PAINTED.append(1)
        return super().get_fill_rgbas()


class PaintingTells(Scene):
    def construct(self):
        square = PaintTells(fill_opacity=1)
        self.add(square)
        self.play(Create(Circle()), run_time=0.5)
        self.play(square.animate.shift(RIGHT * len(PAINTED) / 10), run_time=0.5)


class AsksProcess(Scene):
    """Behaves otherwise in a child."""

    def construct(self):
        first = os.getpid()
        dot = Dot().add_updater(lambda m: m.move_to([0 if os.getpid() == first else 2, 0, 0]))
        self.add(dot)
        self.wait(0.5, frozen_frame=False)
        self.play(Create(Square()), run_time=0.5)


class WritesFrames(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.5)
        self.renderer.file_writer.write_frame(np.zeros((90, 160, 4), np.uint8))
        self.wait(0.3)


class Counts(Scene):
    """Keeps a file up to date from an updater."""

    def construct(self):
        from pathlib import Path

        count = Path("count.txt")
        count.write_text("0")

        def step(m):
            count.write_text(str(int(count.read_text()) + 1))
            m.move_to([int(count.read_text()) / 5, 0, 0])

        self.add(Dot().add_updater(step))
        self.wait(1.2, frozen_frame=False)


class ShowsClip(Scene):
    """Reads a video while frames are made, by a library whose threads no child has."""

    def construct(self):
        import av

        with av.open("clip.mp4", "w") as clip:
            stream = clip.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for number in range(60):
                picture = np.full((240, 320, 3), number * 4, np.uint8)
                clip.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            clip.mux(stream.encode())
        frames = av.open("clip.mp4").decode(video=0)
        shown = ImageMobject(next(frames).to_ndarray(format="rgb24")).scale_to_fit_height(4)
        shown.add_updater(lambda m, dt: setattr(m, "pixel_array", next(frames).to_ndarray(format="rgba")))
        self.add(shown)
        self.wait(0.6)


class Inverts(Scene):
    """Puts a function of its own between Manim's renderer and its file writer."""

    def setup(self):
        add = self.renderer.add_frame
        self.renderer.add_frame = lambda frame, num_frames=1: add(255 - frame, num_frames)

    def construct(self):
        self.play(Create(Square()), run_time=0.4)


class InvertsAll(Scene):
    """Does so in Manim's class, and in the midst."""

    def construct(self):
        self.play(Create(Square()), run_time=0.4)
        get = CairoRenderer.get_frame
        CairoRenderer.get_frame = lambda renderer: 255 - get(renderer)
        self.play(Create(Circle()), run_time=0.4)


class TimeCode(Scene):
    """Draws into each frame how many frames its camera has drawn."""

    def setup(self):
        capture, count = self.camera.capture_mobjects, itertools.count()

        def captured(*args, **kwargs):
            capture(*args, **kwargs)
            self.camera.pixel_array[:5, : 3 * next(count)] = 255

        self.camera.capture_mobjects = captured

    def construct(self):
        self.play(Create(Square()), run_time=0.4)
        self.play(Create(Circle()), run_time=0.4)


class Shimmers(ThreeDScene):
    """Shades surfaces by a function that counts how often it is called."""

    def construct(self):
        from manim.camera import three_d_camera

        count = itertools.count()
        three_d_camera.get_shaded_rgb = lambda rgb, *_: rgb * (next(count) % 7) / 7
        self.set_camera_orientation(phi=1, theta=1)
        self.play(Rotate(Cube()), run_time=0.4)
        self.play(Rotate(Cube()), run_time=0.4)


class Darker(ThreeDScene):
    """Has surfaces shaded in a way of its own."""

    def construct(self):
        from manim.camera import three_d_camera

        three_d_camera.get_shaded_rgb = lambda rgb, *_: rgb * 0.5
        self.set_camera_orientation(phi=1, theta=1)
        self.play(Rotate(Cube()), run_time=0.4)


class Flickers(Scene):
    """Has a shape that counts how often it is drawn."""

    def construct(self):
        widths = itertools.cycle([2, 6, 10])
        square = Square()
        square.get_stroke_width = lambda background=False: next(widths)
        self.add(square)
        self.play(Create(Circle()), run_time=0.4)
        self.play(FadeIn(Dot()), run_time=0.4)


class Drifts(ThreeDScene):
    """Has a label whose place counts how often it was asked for."""

    def construct(self):
        count = itertools.count()
        label = Square(0.5)
        self.set_camera_orientation(phi=1)
        self.add_fixed_orientation_mobjects(label, center_func=lambda: np.array([0, next(count) / 10, 0]))
        self.play(Create(Circle()), run_time=0.3)
        self.play(Create(Square()), run_time=0.3)


class SwallowsAll(Scene):
    def construct(self):
        self.play(FadeIn(Square(fill_opacity=1)), run_time=0.3)
        try:
            value = float(self.camera.pixel_array[..., :3].mean())
        except:
            value = 0.0
        self.play(Create(Circle(radius=1 + value / 30)), run_time=0.4)


class SwallowsPlays(Scene):
    """Leaves out the animations that fail, the first and the last among them."""

    def construct(self):
        dot = Dot(fill_opacity=1)
        dot.add_updater(lambda m: m.set_x(self.camera.pixel_array[..., 0].mean() / 10))
        for animation in (FadeIn(dot), Create(Square()), FadeOut(dot)):
            try:
                self.play(animation, run_time=0.3)
            except:
                pass


class Divides(Scene):
    """Fails where nothing is drawn, after a play whose chunk renderers have not reported yet."""

    def construct(self):
        square = PaintCounts(fill_opacity=1)
        self.add(square)
        before = len(square.painted)
        self.play(Create(Circle()), run_time=0.5)
        self.play(square.animate.shift(RIGHT * (1 / (len(square.painted) - before))), run_time=0.5)


class KeepsDatabase(Scene):
    def construct(self):
        import sqlite3

        base = sqlite3.connect("base.db", isolation_level=None)
        base.execute("drop table if exists steps")
        base.execute("create table steps (x)")
        dot = Dot().add_updater(lambda m: base.execute("insert into steps values (1)"))
        self.add(dot)
        self.play(Create(Square()), run_time=0.5)
        dot.clear_updaters()
        (count,) = base.execute("select count(*) from steps").fetchone()
        self.play(FadeIn(Dot([count / 10, 1, 0])), run_time=0.3)


class RendersOutside(Scene):
    def construct(self):
        self.add(Square())
        self.renderer.render(self, 0, self.mobjects)
        self.play(Create(Circle()), run_time=0.4)


class Pipes(Scene):
    """Keeps a program running that counts the lines it reads."""

    def construct(self):
        from subprocess import PIPE, Popen

        with open("lines.txt", "w") as lines, Popen(["cat"], stdin=PIPE, stdout=lines, text=True) as counter:

            def tell(m):
                counter.stdin.write("line\n")
                counter.stdin.flush()

            self.add(dot := Dot().add_updater(tell))
            self.play(Create(Square()), run_time=0.5)
            dot.clear_updaters()
            counter.stdin.close()
            counter.wait()
        with open("lines.txt") as lines:
            self.play(FadeIn(Dot(RIGHT * len(lines.readlines()) / 10)), run_time=0.3)


class PipesToItself(Scene):
    def construct(self):
        read, write = os.pipe()
        self.add(dot := Dot().add_updater(lambda m: os.write(write, b".")))
        self.play(Create(Square()), run_time=0.5)
        dot.clear_updaters()
        self.play(FadeIn(Dot(RIGHT * len(os.read(read, 100)) / 10)), run_time=0.3)
        os.close(read)
        os.close(write)


class Connects(Scene):
    def construct(self):
        import socket

        here, there = socket.socketpair()
        with here, there:
            self.add(dot := Dot().add_updater(lambda m: here.send(b".")))
            self.play(Create(Square()), run_time=0.5)
            dot.clear_updaters()
            self.play(FadeIn(Dot(RIGHT * len(there.recv(100)) / 10)), run_time=0.3)


class ReadsPlot(Scene):
    """Shows a picture that an updater has a library draw, which writes its file without Python's knowledge."""

    def construct(self):
        import cairo

        widths = itertools.count(1)

        def plot(shown):
            surface = cairo.ImageSurface(cairo.Format.RGB24, 60, 30)
            context = cairo.Context(surface)
            context.set_source_rgb(1, 0, 0)
            context.rectangle(0, 0, next(widths), 30)
            context.fill()
            surface.write_to_png("plot.png")
            shown.submobjects = [ImageMobject("plot.png").scale(4)]

        self.add(Group().add_updater(plot))
        self.wait(1.2, frozen_frame=False)
        self.play(Create(Square()), run_time=0.4)


class CountsInMap(Scene):
    """Counts in a file that is mapped into memory."""

    def construct(self):
        count = np.memmap("count.bin", np.int32, "w+", shape=(1,))

        def step(m):
            count[0] += 1
            m.move_to([count[0] / 5, 0, 0])

        self.add(Dot().add_updater(step))
        self.wait(1.2, frozen_frame=False)


class Uncovers(Scene):
    """Has what stands still vanish in the midst of a play."""

    def construct(self):
        self.add(Square())
        moving = Dot()

        def uncover(dt):
            if self.time > 0.25:
                self.renderer.static_image = None

        self.add(moving)
        self.add_updater(uncover)
        self.play(moving.animate.shift(RIGHT), run_time=0.8)


class PaintsStill(Scene):
    """Moves what stands still, and has it drawn again within a play."""

    def construct(self):
        still, moving = Square(), Dot()
        self.add(still, moving)

        def paint(dt):
            still.shift(RIGHT * dt)
            self.renderer.save_static_frame_data(self, [still])

        self.add_updater(paint)
        self.play(moving.animate.shift(RIGHT), run_time=0.8)


class LooksAtStill(Scene):
    def construct(self):
        self.add(Square(fill_opacity=1))
        self.wait(0.3)
        shown = self.renderer.static_image is not None
        self.play(Create(Circle(radius=1 + shown)), run_time=0.4)


class Prints(Scene):
    """Prints before and after it reads the pixels of a frame."""

    def construct(self):
        print("said one", flush=True)
        self.add(dot := Dot().add_updater(lambda m: print("said", f"{self.time:.1f}", flush=True)))
        self.play(Create(Square()), run_time=0.3)
        dot.clear_updaters()
        print("said", "two", file=sys.stderr)
        brightness = self.camera.pixel_array[..., 0].mean()
        print("said three")
        self.play(Create(Circle(radius=1 + brightness / 100)), run_time=0.3)
        print("said four")


class PrintsOtherwise(Scene):
    """Prints something else when it is rendered again."""

    def construct(self):
        print("said one")
        print("said by", os.getpid())
        print("said two", flush=True)
        self.play(Create(Square()), run_time=0.3)
        self.camera.get_image()


class Breaks(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.5)
        raise ValueError("the scene's own error")


class Leaves(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.5)
        sys.exit()


class LeavesSerially(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.5)
        self.camera.get_image()
        sys.exit()


class BreaksInUpdater(Scene):
    def construct(self):
        def step(m):
            if self.time > 0.5:
                raise KeyError("late")

        self.add(Dot().add_updater(step))
        self.wait(1.5, frozen_frame=False)


class BreaksInPainting(Scene):
    """Raises one error in the parent, and an earlier one in the chunk renderer."""

    def construct(self):
        self.play(Create(Square(joint_type="round")), run_time=0.4)
        raise ValueError("later")


class PlaysInside(Scene):
    def construct(self):
        dot = Dot().add_updater(lambda m: self.play(Create(Square())))
        self.add(dot)
        self.wait(0.5, frozen_frame=False)


class Multiplies(Scene):
    """Multiplies large matrices for each frame, which OpenBLAS does in as many threads as there are cores."""

    def construct(self):
        matrix = np.random.default_rng(5).random((800, 800))

        def multiply(dot):
            product = matrix
            for _ in range(8):
                product = product @ matrix / 400
            dot.set_x(product.mean() % 3)

        self.play(Create(Square()), run_time=0.4)
        self.add(Dot().add_updater(multiply))
        self.wait(1, frozen_frame=False)


class OnTheClock(Scene):
    """Differs from run to run: a test can only check that it renders."""

    def construct(self):
        dot = Dot().add_updater(lambda m: m.move_to([time.perf_counter() % 3, 0, 0]))
        self.add(dot)
        self.wait(0.8, frozen_frame=False)


class Behind(ThreeDScene):
    """Puts a shape behind all others by a function of its own."""

    def construct(self):
        back = Square(2, fill_opacity=1).set_shade_in_3d(True).shift(OUT)
        back.get_z_index_reference_point = lambda: np.array([0.0, 0, -99])
        self.add(back, Square(1, fill_opacity=1, color=RED).set_shade_in_3d(True))
        self.play(Rotate(back, about_point=ORIGIN), run_time=0.4)
