"""Prepares a scene for a parallel render: replaces its renderer and file writer, and installs guards and patches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from manim.renderer.cairo_renderer import CairoRenderer
from manim.scene.scene_file_writer import SceneFileWriter
from tqdm import tqdm

from renderer.engine.abort import Unfit
from renderer.engine.adapter.encoder_presets import MANIM, WHOLE_PLAY_S, choose_chunk_frames, needs_single_encoder
from renderer.engine.adapter.renderer import install_delegate
from renderer.engine.guards.pixel_access import guard_pixels, install_pixel_guards
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.plan import ParallelOptions
from renderer.engine.parallel.play import RenderedPlay
from renderer.engine.parallel.scheduler import Scheduler
from renderer.engine.patches import installer
from renderer.engine.process.file_lock import lock_file_makers
from renderer.engine.process.scene_process import SceneProcess
from renderer.engine.process.slots import ProcessSlots
from renderer.engine.request import Progress, SceneRequest
from renderer.engine.shards.exchange import ClipId, ShardExchange
from renderer.engine.shards.scheduler import ShardScheduler
from renderer.video.pyav_encoder import select_encoder_class


def refuse_own_classes(scene: Scene) -> None:
    """Raise Unfit if the scene has its own class of renderer, file writer or camera."""
    renderer = scene.renderer
    writer, camera = renderer.file_writer, renderer.camera
    for what, thing, is_known in (
        ("renderer", renderer, type(renderer) is CairoRenderer),
        ("file writer", writer, type(writer) is SceneFileWriter),
        ("camera", camera, type(camera).__module__.startswith("manim.camera.")),
    ):
        if not is_known:
            raise Unfit(f"it has its own class of {what}, {type(thing).__name__}")
    if renderer.num_plays:
        raise Unfit("it plays before it is rendered")


def make_options(
    scene: Scene,
    request: SceneRequest,
    process: SceneProcess,
    slots: ProcessSlots,
    limit: int,
    rendered: Mapping[int, RenderedPlay],
    progress: Progress | None,
) -> ParallelOptions:
    """Return how to render the scene in parallel. If the request does not set a value, its preset decides."""
    frame_rate = scene.renderer.camera.frame_rate
    return ParallelOptions(
        process=process,
        slots=slots,
        limit=limit,
        max_chunk_frames=choose_chunk_frames(request, frame_rate),
        single_encoder=needs_single_encoder(request),
        whole_play_frames=request.chunk_frames or round(WHOLE_PLAY_S * frame_rate),
        progress=progress,
        frame_hashes=request.frame_hashes,
        open_encoder=select_encoder_class(request.choice or MANIM, scene.session_spec.video_encoder),
        cache=None if request.frame_hashes else request.cache,
        rendered=rendered,
        changed=request.changed,
    )


def instrument_scene(
    scene: Scene,
    scratch: Path,
    options: ParallelOptions,
    exchange: ShardExchange | None = None,
    missing: Collection[ClipId] | None = None,
) -> Scheduler:
    """Replace parts of the scene so that it steps without drawing; return the scheduler, which forks the drawing.

    With ``exchange`` it is that of a shard; ``missing`` are then the clips that it draws again, if it has to do that.
    """
    tqdm.monitor_interval = 0  # Manim's progress bars would start a thread, and forks need a process without threads
    installer.install_patches()
    process = options.process
    lock_file_makers(scratch / "files.lock", process.side_effects)
    scheduler = ShardScheduler(scene, options, exchange, missing) if exchange else Scheduler(scene, options)
    process.side_effects.wait_for_chunks = scheduler.wait_for_processes
    install_delegate(scene, scheduler, process.stops, process.side_effects)
    install_pixel_guards(process.stops)
    guard_pixels(scene.renderer.camera)
    scheduler.prepare_play(0)
    return scheduler
