"""Renders one Manim scene in the current process. Used by the worker, on every backend."""

from renderer.engine.request import EncoderSettings, RenderSettings, SceneReport, SceneRequest
from renderer.engine.serial import render

__all__ = ["EncoderSettings", "RenderSettings", "SceneReport", "SceneRequest", "render"]
