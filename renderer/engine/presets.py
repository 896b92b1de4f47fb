"""Encoder settings, chosen by measurement: benchmarks/engine.py prints what they give."""

from __future__ import annotations

from renderer.engine.request import EncoderChoice, SceneRequest

MANIM = EncoderChoice()
# x264's superfast spends little on motion; a short lookahead with mbtree and one crf less win back size and likeness
FAST = EncoderChoice(options={"preset": "superfast", "crf": "22", "rc-lookahead": "10", "mbtree": "1"})
PART_S = 3.0  # each part begins with a whole picture, which costs size
NVENC_PART_S = 5.0  # each part opens CUDA and an encoding session anew


def chosen_encoder(request: SceneRequest) -> EncoderChoice:  # Manim's configuration
    """Give the encoder of the request, or the preset's. Only x264 has a preset of ours."""
    if request.choice is not None:
        return request.choice
    from manim import config

    with_x264 = not config.transparent and config.format != "webm"
    return FAST if request.encoder.preset == "fast" and with_x264 else MANIM


def longest_part(request: SceneRequest, frame_rate: float) -> int | None:
    """Give the most frames that one encoder may get; None where a play must stay whole to be encoded as Manim does."""
    if request.part_frames is not None:
        return request.part_frames
    if request.encoder.preset == "manim":
        return None
    nvenc = request.choice is not None and request.choice.codec.endswith("_nvenc")
    return round((NVENC_PART_S if nvenc else PART_S) * frame_rate)
