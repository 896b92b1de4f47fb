"""Scenes with formulas: one of a stranger's, the environment variable FORMULA, and the author's own."""

import os
from pathlib import Path

from manim import *

EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n"
PARTS = {
    "part.tex": "$y^2$",
    "drawing.eps": EPS + "0 0 moveto 20 20 lineto 20 0 lineto closepath fill\n",
    "image.eps": EPS + "20 20 scale 4 4 8 [4 0 0 -4 0 4] {<00ff00ff ff00ff00 00ff00ff ff00ff00>} image\n",
}
OWN = [
    r"$\int_0^1 x^2\,dx$",
    r"\input{parts/part.tex} \input{./parts/part}",
    r"\includegraphics{parts/drawing.eps}",
    r"\includegraphics{parts/image.eps} $i$",
    r"\begin{tikzpicture}\draw[->] (0,0) -- (1,1); \shade[ball color=red] (1,0) circle (.3);\end{tikzpicture}",
    r"\rotatebox{30}{turned}",
]
PACKAGES = r"\usepackage{graphicx,tikz,listings}"
Path("parts").mkdir(exist_ok=True)
for name, content in PARTS.items():
    Path("parts", name).write_text(content)


def make_template(**settings):
    template = TexTemplate(**settings)
    template.add_to_preamble(PACKAGES)
    return template


class Formula(Scene):
    def construct(self):
        self.add(Tex(os.environ["FORMULA"], tex_template=make_template()))
        self.wait(0.2)


class Own(Scene):
    def construct(self):
        self.add(VGroup(*(Tex(formula, tex_template=make_template()) for formula in OWN)).arrange(DOWN).scale(0.7))
        self.wait(0.2)


class Pdf(Scene):
    def construct(self):
        template = make_template(tex_compiler="pdflatex", output_format=".pdf")
        self.add(Tex(r"\input{parts/part.tex} $x^2$", tex_template=template))
        self.wait(0.2)


class OtherFolder(Scene):
    """Has TeX work in a folder of its own choice."""

    def construct(self):
        config.tex_dir = Path("formulas").absolute()
        self.add(Tex(r"\input{parts/part.tex} $x^2$", tex_template=make_template()))
        self.wait(0.2)
