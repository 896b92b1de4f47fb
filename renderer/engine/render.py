"""Renders one scene: in parallel where that gives the very frames of Manim, serially where it might not."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from renderer.engine.abort import Failed, Killed, Stop, Unfit
from renderer.engine.adapter.config import apply_encoder, configured
from renderer.engine.adapter.encoder_presets import MANIM
from renderer.engine.adapter.frame_hashes import note_frames
from renderer.engine.adapter.loader import load_scene_class
from renderer.engine.adapter.outputs import collect
from renderer.engine.adapter.preload import warm_up
from renderer.engine.errors import OutOfMemoryError, SceneError
from renderer.engine.parallel.play import Painted
from renderer.engine.process.fallback import FallbackProcess
from renderer.engine.process.output_replay import OutputReplay
from renderer.engine.process.scene_process import SceneProcess
from renderer.engine.process.slots import ProcessSlots
from renderer.engine.request import SceneReport, SceneRequest
from renderer.system.limits import count_chunk_renderers_that_fit

if TYPE_CHECKING:
    from renderer.engine.parallel.scheduler import Stepper

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Way:
    """How to try: with at most so many children, or serially for a reason.

    ``painted`` are the plays that the first try painted before memory ran out; None while it is the first. ``said`` is
    what the tries so far have printed.
    """

    limit: int
    why_serial: str | None = None
    painted: Mapping[int, Painted] | None = None
    said: Mapping[str, str] = field(default_factory=dict)


def render(
    request: SceneRequest, *, slots: ProcessSlots | None = None, progress: Progress | None = None
) -> SceneReport:
    """Render the scene into ``request.output``; the current folder is the scene file's project folder.

    ``slots`` bounds the drawing processes, ``progress`` is told the frames done and, once known, their total.
    What the scene raises comes through; beside it SpecError, EncoderError, OutOfMemoryError and OutputError.
    """
    warm_up()
    started = time.monotonic()
    slots = slots or ProcessSlots()
    request.scratch.mkdir(parents=True, exist_ok=True)
    with configured(request):
        report = _attempt(request, slots, progress, Way(_side_by_side(slots), _why_serial()))
    return replace(report, seconds={**report.seconds, "render": round(time.monotonic() - started, 3)})


def _side_by_side(slots: ProcessSlots) -> int:
    """Bound the painters by the memory too."""
    from manim import config

    return min(slots.n, count_chunk_renderers_that_fit(config.pixel_width, config.pixel_height))


def _why_serial() -> str | None:
    """Say why the configuration alone rules out painting in children."""
    from manim import RendererType, config
    from manim._config.output import OutputFormat

    if config.renderer != RendererType.CAIRO:
        return "the OpenGL renderer draws in one process"
    if config.dry_run:
        return "a dry run paints nothing"
    if OutputFormat.parse(config.format) in {OutputFormat.PNG, OutputFormat.PNG_SEQUENCE, OutputFormat.NONE}:
        return "images are made by one process"
    return None


def _attempt(request: SceneRequest, slots: ProcessSlots, progress: Progress | None, way: Way) -> SceneReport:
    """Render the given way. Where that does not do, a process that was forked before the scene began tries another."""
    replay = OutputReplay(way.said)
    if way.why_serial:
        with replay:
            return _serially(request, way.why_serial)
    fallback = FallbackProcess[Way, SceneReport](lambda next_way: _again(request, slots, progress, next_way))
    process = SceneProcess()
    try:
        with replay:
            return _in_parallel(request, slots, progress, way, process)
    except Unfit as error:
        return fallback.run(Way(1, str(error), said=replay.printed))
    except Failed as failed:
        raise failed.error from failed
    except Killed as killed:
        if way.painted is not None or way.limit == 1:
            raise _memory_error(killed) from killed
        again = Way(max(1, way.limit // 2), painted=killed.painted, said=replay.printed)
        return fallback.run(again)
    finally:
        fallback.close()


def _again(request: SceneRequest, slots: ProcessSlots, progress: Progress | None, way: Way) -> SceneReport:
    """Start anew, in a folder of its own: killed painters may have left halves of files in the last one."""
    from manim import config

    config.media_dir = tempfile.mkdtemp(prefix="media-", dir=request.scratch)
    return _attempt(request, slots, progress, way)


def _memory_error(killed: Killed) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"the kernel killed the process that painted play {killed.play}, also with fewer of them side by side",
        hint="give the job more memory, or choose a lower resolution",
    )


def _serially(request: SceneRequest, why: str) -> SceneReport:
    scene = _scene_class(request)()
    if request.frame_hashes:
        note_frames(scene.renderer, request.frame_hashes)
    _open_serially(request, scene)
    _run(scene)
    return _report(request, scene, why_serial=why)


def _open_serially(request: SceneRequest, scene: Any) -> None:
    """Leave encoding to Manim, except where the ffmpeg program was chosen."""
    from renderer.video.ffmpeg_encoder import FfmpegEncoder
    from renderer.video.pyav_encoder import select_encoder_class

    spec = scene.session_spec.video_encoder
    if select_encoder_class(request.choice or MANIM, spec) is FfmpegEncoder:
        scene.renderer.file_writer._create_segment_encoder = lambda target: FfmpegEncoder(target, spec)  # noqa: SLF001


def _in_parallel(
    request: SceneRequest, slots: ProcessSlots, progress: Progress | None, way: Way, process: SceneProcess
) -> SceneReport:
    from renderer.engine.instrument import take_over

    scene_class = _scene_class(request)
    if why := _why_serial():
        raise Unfit(why)
    scene = scene_class()
    crew = take_over(scene, request, process, slots, way.limit, way.painted or {}, progress)
    try:
        _step(scene, crew)
    except Killed as killed:
        killed.painted = crew.painted
        raise
    finally:
        crew.abort()
    if request.cache:
        request.cache.prune()
    return replace(_report(request, scene, why_serial=None), cached=crew.cached)


def _step(scene: Any, crew: Stepper) -> None:
    try:
        _run(scene)
    except Exception:
        crew.settle()
        Stop.again()
        raise
    Stop.again()


def _scene_class(request: SceneRequest) -> Any:
    """Run the scene's file, which may change the configuration, before the encoder is chosen."""
    with _no_exit(request.scene):
        scene_class = load_scene_class(request.scene)
    apply_encoder(request)
    return scene_class


def _run(scene: Any) -> None:
    from manim.manager import Manager

    if scene.manager is None:
        Manager(scene)
    with _no_exit(str(scene)):
        scene.render()


@contextmanager
def _no_exit(scene: str) -> Iterator[None]:
    """Say of SystemExit what it means: Manim ends with it, and leaves no video."""
    try:
        yield
    except SystemExit as error:
        raise SceneError(
            f"{scene} ended the program (sys.exit) before its end, so there is no video",
            lines=traceback.format_exc(),
            hint="leave that out; to end early return from construct: what was played until then becomes the video",
        ) from error


def _report(request: SceneRequest, scene: Any, *, why_serial: str | None) -> SceneReport:
    from manim import config

    spec = scene.session_spec.video_encoder
    return SceneReport(
        outputs=collect(scene.output_plan, request.scratch, request.output),
        frames=round(scene.renderer.time * config.frame_rate),
        renderer=config.renderer.value,
        mode="serial" if why_serial else "parallel",
        why_serial=why_serial,
        encoder={"codec": spec.codec, "pixel_format": spec.pixel_format, **dict(spec.options)} if spec else {},
    )
