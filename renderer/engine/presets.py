"""Encoder settings, chosen by measurement: benchmarks/engine.py --frontier prints what they were chosen from."""

from __future__ import annotations

from renderer.engine.request import EncoderChoice, SceneRequest

MANIM = EncoderChoice()


def chosen_encoder(request: SceneRequest) -> EncoderChoice:
    """Give the encoder of the request, or the preset's for the container that Manim will write."""
    if request.choice is not None:
        return request.choice
    return MANIM
