"""Renders a scene exactly as ``manim render`` does, on one thread."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from renderer.engine.request import SceneReport, SceneRequest

QUALITIES = {
    "l": "low_quality",
    "m": "medium_quality",
    "h": "high_quality",
    "p": "production_quality",
    "k": "fourk_quality",
}


def manim_options(request: SceneRequest) -> dict[str, Any]:
    """Translate the request into keys of Manim's configuration."""
    settings = request.settings
    options: dict[str, Any] = {
        "media_dir": str(request.scratch),
        "input_file": str(request.file),
        "progress_bar": "none",
    }
    if settings.quality:
        options["quality"] = QUALITIES[settings.quality]
    if settings.resolution:
        options["pixel_width"], options["pixel_height"] = settings.resolution
    if settings.fps:
        options["frame_rate"] = settings.fps
    if settings.transparent:
        options["transparent"] = True
    if settings.renderer:
        options["renderer"] = settings.renderer
    if settings.format == "png":
        options["save_last_frame"] = True
    elif settings.format:
        options["format"] = settings.format
    return options


def render(request: SceneRequest) -> SceneReport:
    """Render the scene into ``request.output``. What the scene raises comes through."""
    from manim import config, tempconfig
    from manim.manager import Manager
    from manim.utils.module_ops import get_module

    started = time.monotonic()
    with tempconfig(manim_options(request)):
        scene = getattr(get_module(request.file), request.scene)()
        Manager(scene)
        scene.render()
        plan = scene.renderer.file_writer.output_plan
        made = [plan.primary_artifact or plan.fallback_image]
        frames = round(scene.renderer.time * config.frame_rate)
    outputs = tuple(_move(Path(path), request.output) for path in made if path)
    return SceneReport(
        outputs=outputs,
        frames=frames,
        renderer="cairo",
        mode="serial",
        why_serial="parallel rendering is not there yet",
        seconds={"render": time.monotonic() - started},
    )


def _move(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.move(path, folder / path.name)
    return Path(path.name)
