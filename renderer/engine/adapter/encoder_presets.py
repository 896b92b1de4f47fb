"""Encoder settings, chosen by measurement: benchmarks/encoder.py prints what they give."""

from __future__ import annotations

from collections.abc import Mapping

from renderer.engine.request import SceneRequest
from renderer.model import EncoderChoice
from renderer.system.limits import has_avx512

MANIM = EncoderChoice()
# superfast lacks the macroblock tree, which lines on flat ground need. The rest costs superfast next to nothing: more
# frames between two P-frames, blocks of 8x8 pixels, and bits where a block varies most, not on flat ground.
FAST = EncoderChoice(
    options={
        "preset": "superfast",
        "crf": "23",
        "x264-params": "mbtree=1:rc-lookahead=20:b-adapt=0:bframes=5:ref=2:me=hex:analyse=i4x4+i8x8+p8x8:trellis=1"
        ":aq-mode=2:aq-strength=0.8",
    }
)
CHUNK_S = 1.5  # seconds of video; each chunk begins with a complete frame, which costs size
WHOLE_PLAY_S = 3.0  # of a play that one process draws for a single encoder, where few cores are free
NVENC_CHUNK_S = 5.0  # each chunk opens CUDA and an encoding session

MIN_CHUNK_FRAMES = 30  # files of two or three frames cannot be joined: their B-frames begin too late


def choose_encoder(request: SceneRequest) -> EncoderChoice:
    """Return the encoder that the request names, otherwise that of its preset ("fast" or "manim").

    With an encoder other than x264, "fast" is the same as "manim".
    """
    if request.choice is not None:
        return request.choice
    return FAST if request.encoder.preset == "fast" and uses_x264() else MANIM


def uses_x264() -> bool:
    """Return whether Manim would encode with x264, as it is configured now."""
    from manim import config

    automatic = config.video_codec == "auto" and not config.transparent and config.format != "webm"
    return bool(automatic or config.video_codec == "libx264")


def make_deterministic(options: Mapping[str, str]) -> dict[str, str]:
    """Return x264's options, extended so that each run gives the same bytes.

    With AVX-512, x264's macroblock tree differs by chance in about one of twenty segments, also in plain Manim. With
    AVX2 the bytes are those of a processor without AVX-512.
    """
    if not has_avx512():
        return dict(options)
    return {**options, "x264-params": ":".join(filter(None, ["asm=avx2", options.get("x264-params")]))}


def choose_chunk_frames(request: SceneRequest, frame_rate: float) -> int | None:
    """Return the largest number of frames of a chunk that has its own encoder; None if a chunk is a whole play."""
    if request.chunk_frames is not None or needs_single_encoder(request):
        return request.chunk_frames
    nvenc = request.choice is not None and request.choice.codec.endswith("_nvenc")
    return max(MIN_CHUNK_FRAMES, round((NVENC_CHUNK_S if nvenc else CHUNK_S) * frame_rate))


def needs_single_encoder(request: SceneRequest) -> bool:
    """Return whether one encoder must see all frames of a play, as in plain Manim."""
    return request.encoder.preset == "manim"
