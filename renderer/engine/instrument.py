"""Puts our stand-ins in the place of a scene's renderer, file writer and camera."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter
from tqdm import tqdm

from renderer.engine.abort import Stop, Unfit
from renderer.engine.adapter.encoder_presets import MANIM, PART_S, longest_part, one_encoder
from renderer.engine.adapter.renderer import SteppingRenderer, SteppingWriter
from renderer.engine.guards.pixel_access import guard_pixels, install_pixel_guards
from renderer.engine.parallel.plan import Plan, Progress
from renderer.engine.parallel.play import Painted
from renderer.engine.parallel.scheduler import Stepper
from renderer.engine.patches import installer
from renderer.engine.process.file_lock import lock_file_makers
from renderer.engine.process.scene_process import SceneProcess
from renderer.engine.process.slots import ProcessSlots
from renderer.engine.request import SceneRequest
from renderer.video.pyav_encoder import select_encoder_class


def take_over(
    scene: Any,
    request: SceneRequest,
    process: SceneProcess,
    slots: ProcessSlots,
    limit: int,
    painted: Mapping[int, Painted],
    progress: Progress | None,
) -> Stepper:
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
    Stop.swallowed = None
    tqdm.monitor_interval = 0  # its thread would outlive no fork
    installer.install()
    lock_file_makers(request.scratch / "files.lock", process.side_effects)
    opened = select_encoder_class(request.choice or MANIM, scene.session_spec.video_encoder)
    crew = Stepper(
        scene,
        Plan(
            process,
            slots,
            limit,
            longest=longest_part(request, camera.frame_rate),
            one_encoder=one_encoder(request),
            whole=request.part_frames or round(PART_S * camera.frame_rate),
            progress=progress,
            hashes=request.frame_hashes,
            opened=opened,
            cache=None if request.frame_hashes else request.cache,
            painted=painted,
        ),
    )
    process.side_effects.wait_for_chunks = crew.wait
    renderer.__class__, writer.__class__ = SteppingRenderer, SteppingWriter
    renderer.crew = writer.crew = crew
    renderer.side_effects = process.side_effects
    install_pixel_guards(process.stops)
    guard_pixels(camera)
    return crew
