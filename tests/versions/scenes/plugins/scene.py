"""Scenes with plugins, as in their examples. The voice needs no network."""

import os
from pathlib import Path

import av
import numpy as np
from manim import *
from manim_physics import SpaceScene
from manim_voiceover import VoiceoverScene
from manim_voiceover.services.base import SpeechService


class Hum(SpeechService):
    """Hums for as long as it takes to say the words."""

    def generate_from_text(self, text, cache_dir=None, path=None, **_):
        folder, name = Path(cache_dir or self.cache_dir), f"hum-{len(text)}.mp3"
        times = np.arange(int(24000 * len(text.split()) * 0.15)) / 24000
        sound = (np.sin(times * 2 * np.pi * 220) * 9000).astype("<i2")[None]
        with av.open(str(folder / name), "w") as file:
            stream = file.add_stream("mp3", rate=24000, layout="mono")
            frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
            frame.rate = 24000
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return {"input_text": text, "input_data": {"input_text": text, "service": "hum"}, "original_audio": name}


class Voice(VoiceoverScene):
    def construct(self):
        self.set_speech_service(Hum())
        circle = Circle()
        with self.voiceover(text="This circle is drawn as I speak.") as tracker:
            self.play(Create(circle), run_time=tracker.duration)
        with self.voiceover(text="It is gone."):
            self.play(FadeOut(circle))


class Bought(Hum):
    """Looks in the list of voices first, as services do that cost money, and notes what it buys."""

    def generate_from_text(self, text, cache_dir=None, path=None, **_):
        asked = {"input_text": text, "service": "hum"}
        if found := self.get_cached_result(asked, cache_dir or self.cache_dir):
            return found
        with Path(os.environ["BOUGHT"]).open("a") as file:
            file.write(f"{text}\n")
        return super().generate_from_text(text, cache_dir)


class Pays(VoiceoverScene):
    def construct(self):
        self.set_speech_service(Bought())
        for words in ("Two words.", "Three more words."):
            with self.voiceover(text=words):
                self.play(FadeIn(Circle()))


class Falls(SpaceScene):
    def construct(self):
        ball, ground = Circle(0.4).shift(UP), Line([-5, -2, 0], [5, -2, 0])
        self.add(ball, ground)
        self.make_rigid_body(ball)
        self.make_static_body(ground)
        self.wait(0.8)
