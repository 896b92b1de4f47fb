"""A formula with macros of the project."""

from manim import MathTex, Scene, TexTemplate


class Formula(Scene):
    def construct(self):
        template = TexTemplate()
        template.add_to_preamble(r"\input{macros}")
        self.add(MathTex(r"\house{x}", tex_template=template))
        self.wait(0.2)
