"""Puts our stand-ins in the place of a scene's renderer, file writer and camera."""

from __future__ import annotations

from typing import Any

from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter
from tqdm import tqdm

from renderer.engine import faster
from renderer.engine.children import Children
from renderer.engine.encode import opened_by
from renderer.engine.errors import Unfit
from renderer.engine.file_lock import share_made_files
from renderer.engine.guard import guard
from renderer.engine.outside import watch
from renderer.engine.presets import MANIM, longest_part
from renderer.engine.request import SceneRequest
from renderer.engine.stepper import Plan, Progress, Stepper
from renderer.engine.stepping import SteppingRenderer, SteppingWriter


def take_over(scene: Any, request: SceneRequest, children: Children, limit: int, progress: Progress | None) -> Stepper:
    """Make the scene step without painting. Unfit where it has parts of its own that we do not know."""
    renderer = scene.renderer
    writer, camera = renderer.file_writer, renderer.camera
    for what, thing, known in (
        ("renderer", renderer, type(renderer) is CairoRenderer),
        ("file writer", writer, type(writer) is SceneFileWriter),
        ("camera", camera, type(camera).__module__.startswith("manim.camera.")),
    ):
        if not known:
            raise Unfit(f"it brings a {what} of its own, {type(thing).__name__}")
    if renderer.num_plays:
        raise Unfit("it plays before it is rendered")
    tqdm.monitor_interval = 0  # its thread would outlive no fork
    watch()
    faster.install()
    share_made_files(request.scratch / "files.lock")
    opened = opened_by(request.choice or MANIM, scene.session_spec.video_encoder)
    longest = longest_part(request, camera.frame_rate)
    cache = None if request.frame_hashes else request.cache
    crew = Stepper(scene, Plan(children, limit, longest, progress, request.frame_hashes, opened, cache))
    renderer.__class__, writer.__class__ = SteppingRenderer, SteppingWriter
    renderer.crew = writer.crew = crew
    guard(camera)
    return crew
