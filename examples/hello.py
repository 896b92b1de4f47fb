"""A first video: text in two scripts, a formula, and a curve that a dot follows."""

from manim import *


class Hello(Scene):
    """A greeting, a formula and a moving dot, about nine seconds."""

    def construct(self):
        title = Text("Hello, 你好", font_size=64)
        formula = MathTex(r"e^{i\varphi} = \cos\varphi + i\sin\varphi").next_to(title, DOWN, buff=0.6)
        self.play(Write(title))
        self.play(FadeIn(formula, shift=UP * 0.5))
        self.wait(0.5)
        self.play(title.animate.scale(0.6).to_corner(UL), formula.animate.scale(0.7).to_corner(UR))

        axes = Axes(x_range=[0, 2 * PI, PI / 2], y_range=[-1.2, 1.2, 0.5], x_length=9, y_length=4)
        phase = ValueTracker(0)
        curve = axes.plot(np.sin, color=BLUE)
        dot = always_redraw(lambda: Dot(axes.c2p(phase.get_value(), np.sin(phase.get_value())), color=YELLOW))
        self.play(Create(axes), run_time=1)
        self.play(Create(curve), FadeIn(dot))
        self.play(phase.animate.set_value(2 * PI), run_time=3, rate_func=smooth)
        self.wait(0.5)
