"""Encoder settings, chosen by measurement: benchmarks/frontier.py prints what they were chosen from."""

from __future__ import annotations

from renderer.engine.request import EncoderChoice, SceneRequest

MANIM = EncoderChoice()
FAST = EncoderChoice(codec="auto", options={"preset": "superfast", "bf": "3", "rc-lookahead": "0", "crf": "24"})
PART_S = 1.0
NVENC_PART_S = 5.0  # each part opens CUDA and an encoding session anew


def chosen_encoder(request: SceneRequest) -> EncoderChoice:
    """Give the encoder of the request, or the preset's."""
    if request.choice is not None:
        return request.choice
    return MANIM


def longest_part(request: SceneRequest, frame_rate: float) -> int | None:
    """Give the most frames that one encoder may get; None where a play must stay whole to be encoded as Manim does."""
    if request.encoder.preset == "manim":
        return None
    seconds = NVENC_PART_S if chosen_encoder(request).codec.endswith("_nvenc") else PART_S
    return max(8, round(seconds * frame_rate))
