"""Encoder settings, chosen by measurement: benchmarks/engine.py prints what they give."""

from __future__ import annotations

from collections.abc import Mapping

from renderer.engine.request import SceneRequest
from renderer.model import EncoderChoice
from renderer.system.limits import has_avx512

MANIM = EncoderChoice()
# veryfast spends less on motion than Manim's medium; two crf less win back the likeness
FAST = EncoderChoice(options={"preset": "veryfast", "crf": "21"})
PART_S = 3.0  # each part begins with a whole picture, which costs size
NVENC_PART_S = 5.0  # each part opens CUDA and an encoding session anew


def chosen_encoder(request: SceneRequest) -> EncoderChoice:
    """Give the encoder of the request, or the preset's. Only x264 has a preset of ours."""
    if request.choice is not None:
        return request.choice
    return FAST if request.encoder.preset == "fast" and uses_x264() else MANIM


def uses_x264() -> bool:
    """Tell whether Manim's configuration, as it is now, leads to x264."""
    from manim import config

    automatic = config.video_codec == "auto" and not config.transparent and config.format != "webm"
    return bool(automatic or config.video_codec == "libx264")


def steady(options: Mapping[str, str]) -> dict[str, str]:
    """Add to x264's options what keeps its output the same from run to run.

    With AVX-512 its macroblock tree differs by chance, in about one of twenty segments, in Manim as well. With AVX2 it
    gives what processors without AVX-512 give.
    """
    if not has_avx512():
        return dict(options)
    return {**options, "x264-params": ":".join(filter(None, ["asm=avx2", options.get("x264-params")]))}


def longest_part(request: SceneRequest, frame_rate: float) -> int | None:
    """Give the most frames that one painter may get; None leaves that to the engine."""
    if request.part_frames is not None or one_encoder(request):
        return request.part_frames
    nvenc = request.choice is not None and request.choice.codec.endswith("_nvenc")
    return round((NVENC_PART_S if nvenc else PART_S) * frame_rate)


def one_encoder(request: SceneRequest) -> bool:
    """Tell whether one encoder must see all frames of a play, as Manim's does."""
    return request.encoder.preset == "manim"
