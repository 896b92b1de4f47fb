"""Renders one scene."""

from __future__ import annotations

import time
from collections.abc import Callable

from renderer.engine.children import Children
from renderer.engine.manim_config import configured
from renderer.engine.outputs import collect
from renderer.engine.request import SceneReport, SceneRequest
from renderer.engine.scene_file import load_scene_class
from renderer.engine.warm import warm_up

Progress = Callable[[int, int | None], None]


def render(request: SceneRequest, *, children: Children | None = None, progress: Progress | None = None) -> SceneReport:
    """Render the scene into ``request.output``; the current folder is the scene file's project folder.

    ``children`` bounds the painting processes, ``progress`` is told the frames done and, once known, their total.
    What the scene raises comes through; beside it SpecError, EncoderError, OutOfMemoryError and OutputError.
    """
    from manim import config
    from manim.manager import Manager

    warm_up()
    started = time.monotonic()
    with configured(request):
        scene_class = load_scene_class(request.scene)
        scene = scene_class()
        Manager(scene)
        scene.render()
        spec = scene.session_spec.video_encoder
        outputs = collect(scene.output_plan, request.output)
        frames = round(scene.renderer.time * config.frame_rate)
    return SceneReport(
        outputs=outputs,
        frames=frames,
        renderer="cairo",
        mode="serial",
        why_serial="parallel rendering is not there yet",
        encoder={"codec": spec.codec, "pixel_format": spec.pixel_format, **dict(spec.options)} if spec else {},
        seconds={"render": time.monotonic() - started},
    )
