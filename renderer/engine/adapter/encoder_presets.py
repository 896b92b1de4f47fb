"""Encoder settings, chosen by measurement: benchmarks/engine.py prints what they give."""

from __future__ import annotations

from collections.abc import Mapping

from renderer.engine.request import SceneRequest
from renderer.model import EncoderChoice
from renderer.system.limits import has_avx512

MANIM = EncoderChoice()
# veryfast looks for motion less than Manim's medium does; two crf less make the image quality the same
FAST = EncoderChoice(options={"preset": "veryfast", "crf": "21"})
CHUNK_S = 3.0  # seconds of video; each chunk begins with a complete frame, which costs size
NVENC_CHUNK_S = 5.0  # each chunk opens CUDA and an encoding session

MIN_CHUNK_FRAMES = 30  # files of two or three frames cannot be joined: their B-frames begin too late


def choose_encoder(request: SceneRequest) -> EncoderChoice:
    """Return the encoder of the request, or else that of its preset. Only x264 has a preset other than Manim's."""
    if request.choice is not None:
        return request.choice
    return FAST if request.encoder.preset == "fast" and uses_x264() else MANIM


def uses_x264() -> bool:
    """Return whether Manim's configuration, as it is now, leads to x264."""
    from manim import config

    automatic = config.video_codec == "auto" and not config.transparent and config.format != "webm"
    return bool(automatic or config.video_codec == "libx264")


def make_deterministic(options: Mapping[str, str]) -> dict[str, str]:
    """Return x264's options with those that keep its output the same from run to run.

    With AVX-512 its macroblock tree differs by chance, in about one of twenty segments, in Manim as well. With AVX2 it
    gives the same as on processors without AVX-512.
    """
    if not has_avx512():
        return dict(options)
    return {**options, "x264-params": ":".join(filter(None, ["asm=avx2", options.get("x264-params")]))}


def choose_chunk_frames(request: SceneRequest, frame_rate: float) -> int | None:
    """Return the most frames of a chunk that has an encoder of its own; None: a whole play."""
    if request.chunk_frames is not None or needs_single_encoder(request):
        return request.chunk_frames
    nvenc = request.choice is not None and request.choice.codec.endswith("_nvenc")
    return max(MIN_CHUNK_FRAMES, round((NVENC_CHUNK_S if nvenc else CHUNK_S) * frame_rate))


def needs_single_encoder(request: SceneRequest) -> bool:
    """Return whether one encoder must see all frames of a play, as Manim's does."""
    return request.encoder.preset == "manim"
