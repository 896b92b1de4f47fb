"""Encoder settings, chosen by measurement: benchmarks/frontier.py prints what they were chosen from."""

from __future__ import annotations

from renderer.engine.request import EncoderChoice, SceneRequest

MANIM = EncoderChoice()
FAST = EncoderChoice(codec="auto", options={"preset": "superfast", "bf": "3", "rc-lookahead": "0", "crf": "24"})
PART_S = 1.0


def chosen_encoder(request: SceneRequest) -> EncoderChoice:
    """Give the encoder of the request, or the preset's."""
    if request.choice is not None:
        return request.choice
    return MANIM


def longest_part(request: SceneRequest, frame_rate: float) -> int | None:
    """Give the most frames that one encoder may get; None where a play must stay whole to be encoded as Manim does."""
    return None if request.encoder.preset == "manim" else max(8, round(PART_S * frame_rate))
