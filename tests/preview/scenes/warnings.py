from manim import *


class Faulty(Scene):
    def construct(self):
        title = Text("A title that is much too long for the frame of this film", font_size=60)
        self.play(FadeIn(title), run_time=0.2)
        small = Text("tiny words", font_size=6).shift(DOWN)
        self.play(FadeIn(small), run_time=0.2)
        over = Text("over the title", color=YELLOW).move_to(title)
        self.show(over)
        pale = Text("pale", color="#222222").shift(DOWN * 2)
        self.add(pale, Circle().shift(RIGHT * 7), Square().shift(UP * 9))
        self.wait(0.2)
        self.next_section("end")
        self.add_subcaption("so it ends", duration=0.2)
        self.add_sound("beep.wav")
        self.play(FadeIn(Text("font", font="No Such Font").to_edge(DL)), run_time=0.01)
        formula = Tex(r"{\fontencoding{T1}\fontfamily{nosuchfont}\selectfont abc}").to_edge(UP)
        self.play(FadeIn(formula), run_time=0.2)
        self.play(FadeOut(over, small), run_time=0.2)

    def show(self, shown):
        self.play(FadeIn(shown), run_time=0.2)


class Tidy(Scene):
    def construct(self):
        plane = NumberPlane()
        text = VGroup(Text("a caption"), MathTex("e^{i\\pi} = -1")).arrange(DOWN)
        label = Text("on a card").to_edge(DOWN)
        self.play(Create(plane), run_time=0.2)
        self.play(Write(text), run_time=0.2)
        self.play(FadeIn(BackgroundRectangle(label, fill_opacity=1), label), run_time=0.2)
        self.play(TransformMatchingShapes(text, Text("another").move_to(text)), run_time=0.2)
        self.wait(0.2)
        self.play(FadeOut(plane, label), run_time=0.2)
