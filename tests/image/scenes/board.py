from manim import *


class Board(Scene):
    def construct(self):
        formula = MathTex(r"\int_0^1 x^2 \, dx = \frac{1}{3}")
        chinese = Text("Hello, 世界！")
        self.add(VGroup(formula, chinese).arrange(DOWN))


class Emoji(Scene):
    def construct(self):
        self.add(Text("😀🎉").scale_to_fit_width(10))


class Ctex(Scene):
    def construct(self):
        self.add(Tex(r"勾股定理 $a^2 + b^2 = c^2$", tex_template=TexTemplateLibrary.ctex))


class Turn(Scene):
    def construct(self):
        self.play(Create(Square(color=BLUE, fill_opacity=1)), run_time=1)


class Doublestroke(Scene):
    def construct(self):
        self.add(Tex(r"$\mathds{1}_A \in \mathscr{L}$, \textit{lmodern}", tex_template=TexTemplateLibrary.threeb1b).scale(2))
