"""Renders one scene: in parallel if that gives exactly Manim's frames, otherwise serially."""

from __future__ import annotations

import json
import logging
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from renderer.engine.abort import (
    ClipsMissing,
    FramesNeeded,
    KeysNeeded,
    Mispredicted,
    ProcessFailed,
    ProcessKilled,
    ShardEnded,
    ShardsDiffer,
    StopRecord,
    Unfit,
    UnfitFromHere,
    UnfitInGroup,
)
from renderer.engine.adapter.config import apply_encoder, configured, move_folders
from renderer.engine.adapter.encoder_presets import MANIM
from renderer.engine.adapter.frame_hashes import record_frame_hashes
from renderer.engine.adapter.loader import load_scene_class
from renderer.engine.adapter.outputs import clear_folder, count_output_frames, measure_film, move_outputs
from renderer.engine.adapter.preload import warm_up
from renderer.engine.adapter.scratch import usable_path
from renderer.engine.ahead.typesetting import typeset_ahead
from renderer.engine.cache.interface import Cache
from renderer.engine.cache.store import make_own_cache
from renderer.engine.cache.tex_files import TexFiles
from renderer.engine.cache.voices import keep_voices
from renderer.engine.errors import OutOfMemoryError
from renderer.engine.manim_types import Scene
from renderer.engine.parallel.play import RenderedPlay
from renderer.engine.patches import kept_mobjects
from renderer.engine.process.fallback import FallbackProcess
from renderer.engine.process.output_replay import OutputReplay
from renderer.engine.process.scene_process import SceneProcess, keep_freed_memory
from renderer.engine.process.slots import ProcessSlots
from renderer.engine.process.user_code import room_for_own_calls, running_user_code
from renderer.engine.request import Progress, SceneReport, SceneRequest, select_slowest
from renderer.engine.shards.exchange import ShardExchange
from renderer.engine.shards.report import ShardReport
from renderer.system.limits import count_chunk_renderers_that_fit

if TYPE_CHECKING:
    from renderer.engine.parallel.scheduler import Scheduler

_MAX_MISPREDICTED = 3  # plays of one render; then no play is predicted any more
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """How to render: in parallel with at most ``limit`` processes that draw, or serially if ``why_serial`` is set.

    ``rendered`` are the plays that earlier attempts had rendered. ``was_killed`` is true after a process was killed.
    ``printed`` is what earlier attempts have printed, by stream. ``group_plays`` is false after a process that drew
    several plays came to another state than the scene.
    ``unpredicted`` are plays whose key in the chunk cache was predicted wrongly; None stands for all plays. With
    ``with_keys``, Manim's keys of predicted plays are computed as well.
    ``missing`` are the clips that the joining shard has to draw again. With ``why_whole``, one shard renders the whole
    scene, and this says why, in a clause. From the play ``first_serial`` on, the process that steps the scene draws
    itself, because of ``why_from_there``. Without ``leap``, the scene is stepped through every frame.
    """

    limit: int
    why_serial: str | None = None
    group_plays: bool = True
    rendered: Mapping[int, RenderedPlay] = field(default_factory=dict, repr=False)
    was_killed: bool = False
    printed: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing: tuple[tuple[int, int], ...] | None = None
    why_whole: str | None = None
    unpredicted: tuple[int, ...] | None = ()
    with_keys: bool = False
    first_serial: int | None = None
    why_from_there: str | None = None
    leap: bool = True

    def to_json(self) -> str:
        """Return the attempt as JSON, for the fallback process."""
        return json.dumps(asdict(self), default=str)

    def explain_serial(self) -> str | None:
        """Return why the scene is not rendered in parallel, or not from some play on; None if it is."""
        if not self.why_from_there or not self.first_serial:
            return self.why_from_there
        return f"{self.why_from_there} (the first {self.first_serial} plays were rendered in parallel)"

    @classmethod
    def from_json(cls, text: str) -> _Attempt:
        """Return the attempt that ``to_json`` wrote."""
        content = json.loads(text)
        plays = content["rendered"]
        content["rendered"] = {int(number): RenderedPlay.from_json(play) for number, play in plays.items()}
        if content["unpredicted"] is not None:
            content["unpredicted"] = tuple(content["unpredicted"])
        if content["missing"] is not None:
            content["missing"] = tuple((play, clip) for play, clip in content["missing"])
        return cls(**content)


class _TryAgainError(Exception):
    """An attempt failed for a reason that the next one avoids: ``attempt``."""

    def __init__(self, reason: object, attempt: _Attempt) -> None:
        super().__init__(str(reason))
        self.attempt = attempt


@dataclass(frozen=True)
class _SceneRender:
    """Renders one scene, in one or more attempts; the fields are the same for all of them.

    ``kept`` is the cache for formulas and voices. All attempts choose the same random numbers by ``seed`` if the scene
    has none: otherwise, plays that one has drawn would not be those of the next.
    """

    request: SceneRequest
    slots: ProcessSlots
    progress: Progress | None
    kept: Cache
    tex_files: TexFiles
    exchange: ShardExchange | None = None
    seed: int = field(default_factory=lambda: secrets.randbits(64))

    def run(self, attempt: _Attempt) -> SceneReport:
        """Render the scene. Each parallel attempt runs in a fork; if it fails, the process before it makes the next.

        So this returns in the process that rendered the scene, which may be a fork of the one that called it.
        """
        if self.exchange and attempt.why_serial:
            if not self._arrive_serial(attempt.why_serial):
                return self._describe_share()
            attempt = replace(attempt, why_whole=attempt.why_serial)
        while not attempt.why_serial:
            fallback = FallbackProcess(self.request.scratch / "next-attempt.json")
            if (following := fallback.fork()) is None:
                return self._try_in_parallel(attempt, fallback)
            self._discard_attempt()
            attempt = _Attempt.from_json(following)
        with OutputReplay(attempt.printed):
            return self._add_shards(_render_serially(self.request, self._load_scene(), attempt.why_serial), attempt)

    def _try_in_parallel(self, attempt: _Attempt, fallback: FallbackProcess) -> SceneReport:
        replay = OutputReplay(attempt.printed)
        try:
            with replay:
                return self._render_in_parallel(attempt, SceneProcess())
        except _TryAgainError as failed:
            _log.debug("rendering again with at most %d processes: %s", failed.attempt.limit, failed)
            fallback.start_again(replace(failed.attempt, printed=replay.printed).to_json())
        except Unfit as unfit:
            if self.exchange and not attempt.why_whole and not self._arrive_serial(str(unfit)):
                return self._describe_share()
            _log.debug("rendering serially: %s", unfit)
            whole = (attempt.why_whole or str(unfit)) if self.exchange else None
            serial = _Attempt(limit=1, why_serial=str(unfit), printed=replay.printed, why_whole=whole)
            fallback.start_again(serial.to_json())
        except ShardEnded:
            return self._describe_share()
        except ShardsDiffer as differ:
            _log.debug("rendering the whole scene: %s", differ)
            again = _Attempt(limit=attempt.limit, why_whole=str(differ), printed=replay.printed)
            fallback.start_again(again.to_json())
        except ClipsMissing as clips:
            _log.debug("drawing again what the store has lost: %s", clips)
            again = _Attempt(limit=attempt.limit, missing=clips.clips, printed=replay.printed)
            fallback.start_again(again.to_json())
        except ProcessFailed as failed:
            raise failed.error from failed

    def _arrive_serial(self, why: str) -> bool:
        """Report that the scene cannot be rendered in parallel; return whether this shard is the one to render it."""
        assert self.exchange  # noqa: S101  # for the type checker
        return self.exchange.arrive(ShardReport(self.exchange.place.index, why_serial=why))

    def _describe_share(self) -> SceneReport:
        """Return the report of a shard that has drawn its share, and leaves the rest to others."""
        return self._add_shards(SceneReport(outputs=(), frames=0, renderer="cairo", mode="parallel"), None)

    def _add_shards(self, report: SceneReport, attempt: _Attempt | None) -> SceneReport:
        """Add to the report how the shards rendered the scene; ``attempt`` is None for a shard that did not join."""
        if not self.exchange:
            return report
        why = attempt.why_whole if attempt else None
        return replace(report, shards=self.exchange.describe(joined=attempt is not None, why_whole=why))

    def _discard_attempt(self) -> None:
        """Remove what the last attempt left. Use new folders for Manim: the old ones may have incomplete files."""
        move_folders(Path(tempfile.mkdtemp(prefix="media-", dir=self.request.scratch)))
        clear_folder(self.request.output)
        if self.request.restore:
            self.request.restore()

    def _load_scene(self) -> Callable[[], Scene]:
        scene_class = load_scene(self.request)
        keep_voices(self.kept, self.request.scratch)
        if not self.exchange:  # shards share formulas in turns
            typeset_ahead(scene_class, self.tex_files, self.slots, self.request.scratch)
        return scene_class

    def _render_in_parallel(self, attempt: _Attempt, process: SceneProcess) -> SceneReport:
        from renderer.engine.instrument import instrument_scene, make_options, refuse_own_classes
        from renderer.engine.patches.scene import choose_random_numbers

        choose_random_numbers(self.seed)
        scene_class = self._load_scene()
        if why := _find_serial_reason():
            raise Unfit(why)
        scene = scene_class()
        refuse_own_classes(scene)
        exchange = None if attempt.why_whole else self.exchange
        options = make_options(
            scene,
            self.request,
            process,
            self.slots,
            attempt.limit,
            attempt.rendered,
            self.progress,
        )
        options = replace(
            options,
            group_plays=attempt.group_plays and not exchange,
            unpredicted=None if exchange else attempt.unpredicted,  # a shard leaves out frames that would show it
            with_keys=attempt.with_keys,
            first_serial=attempt.first_serial,
            leap=attempt.leap,
        )
        scheduler = instrument_scene(scene, self.request.scratch, options, exchange, attempt.missing)
        try:
            _step(scene, scheduler, process.stops)
            if exchange and not scene.renderer.num_plays and not exchange.arrive(ShardReport(exchange.place.index)):
                raise ShardEnded  # a scene without plays is one image
        except UnfitFromHere as unfit:
            if exchange or attempt.why_from_there:
                raise
            again = replace(
                attempt,
                rendered=_find_drawn(scheduler),
                first_serial=process.stops.first_undrawn,
                why_from_there=str(unfit),
            )
            raise _TryAgainError(f"{unfit}, after {again.first_serial} plays", again) from unfit
        except (UnfitInGroup, FramesNeeded, Mispredicted, KeysNeeded) as stop:
            raise _TryAgainError(stop, _avoid(attempt, stop, scheduler)) from stop
        except ProcessKilled as killed:
            if attempt.was_killed or attempt.limit == 1:
                raise _memory_error(killed.play) from killed
            limit = max(1, attempt.limit // 2)
            again = replace(attempt, limit=limit, rendered=_find_drawn(scheduler), was_killed=True)
            raise _TryAgainError(f"a process of play {killed.play} was killed", again) from killed
        finally:
            scheduler.abort()
        report = _report(self.request, scene, why_serial=attempt.explain_serial())
        plays = () if report.why_serial else select_slowest(scheduler.play_reports)
        report = replace(report, cached=scheduler.cached, plays=plays)
        return self._add_shards(report, attempt)


def _avoid(
    attempt: _Attempt, stop: UnfitInGroup | FramesNeeded | Mispredicted | KeysNeeded, scheduler: Scheduler
) -> _Attempt:
    """Return the attempt that avoids what ended this one. What was drawn, and is right, is not drawn again."""
    if isinstance(stop, UnfitInGroup):
        return replace(attempt, group_plays=False)
    if isinstance(stop, FramesNeeded):  # what was drawn after such a play may be wrong
        return replace(attempt, rendered={}, leap=False)
    if isinstance(stop, KeysNeeded):
        return replace(attempt, rendered=_find_drawn(scheduler), with_keys=True)
    unpredicted = (*(attempt.unpredicted or ()), stop.play)
    rendered = {number: play for number, play in _find_drawn(scheduler).items() if number != stop.play}
    return replace(
        attempt, rendered=rendered, unpredicted=unpredicted if len(unpredicted) < _MAX_MISPREDICTED else None
    )


def _find_drawn(scheduler: Scheduler) -> Mapping[int, RenderedPlay]:
    """Return the plays that were drawn; those from the chunk cache are there again."""
    drawn = {play.number for play in scheduler.play_reports if play.source != "chunk cache"}
    return {number: play for number, play in scheduler.rendered_plays.items() if number in drawn}


def render(
    request: SceneRequest, *, slots: ProcessSlots | None = None, progress: Progress | None = None
) -> SceneReport:
    """Render the scene into ``request.output``; the current folder is the scene file's project folder.

    ``slots`` limit the processes that draw. ``progress`` is called with the number of frames that are done and their
    total (None until it is known). Raises what the scene raises, and SpecError, EncoderError, OutOfMemoryError and
    OutputError.
    """
    warm_up()
    started = time.monotonic()
    slots = slots or ProcessSlots()
    request.scratch.mkdir(parents=True, exist_ok=True)
    with usable_path(request.scratch) as scratch, configured(request := replace(request, scratch=scratch)):
        exchange = ShardExchange(request.shard, scratch) if request.shard else None
        kept: Cache = request.cache or make_own_cache(scratch / "formulas")
        kept = exchange.share_formulas(kept) if exchange else kept
        tex_files = TexFiles(kept, scratch / "locks")
        tex_files.install()
        attempt = _Attempt(limit=_limit_processes(slots), why_serial=_find_serial_reason())
        _log.debug("rendering %s with at most %d processes", request.scene, attempt.limit)
        report = _SceneRender(request, slots, progress, kept, tex_files, exchange).run(attempt)
        kept_mobjects.write_new()
        if request.cache:
            request.cache.prune()
    return replace(report, seconds={**report.seconds, "render": round(time.monotonic() - started, 3)})


def _limit_processes(slots: ProcessSlots) -> int:
    """Return how many processes may draw at the same time: one for each slot, if the memory is enough."""
    from manim import config

    return min(slots.n, count_chunk_renderers_that_fit(config.pixel_width, config.pixel_height))


def _find_serial_reason() -> str | None:
    """Return why the configuration needs a serial render; None if it does not."""
    from manim import RendererType, config
    from manim._config.output import OutputFormat

    if config.renderer != RendererType.CAIRO:
        return "the OpenGL renderer draws in one process"
    if config.dry_run:
        return "a dry run draws nothing"
    if OutputFormat.parse(config.format) in {OutputFormat.PNG, OutputFormat.PNG_SEQUENCE, OutputFormat.NONE}:
        return "images are made by one process"
    return None


def _memory_error(play: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"the kernel killed the process that renders play {play}, also with half as many processes",
        hint="give the job more memory, or choose a lower resolution",
    )


def _render_serially(request: SceneRequest, scene_class: Callable[[], Scene], why: str) -> SceneReport:
    keep_freed_memory()
    scene = scene_class()
    if request.frame_hashes:
        record_frame_hashes(scene.renderer, request.frame_hashes)
    _install_ffmpeg_encoder(request, scene)
    run_scene(scene)
    return _report(request, scene, why_serial=why)


def _install_ffmpeg_encoder(request: SceneRequest, scene: Scene) -> None:
    """Make Manim encode with the ffmpeg program, if the request chooses that."""
    from renderer.video.ffmpeg_encoder import FfmpegEncoder
    from renderer.video.pyav_encoder import select_encoder_class

    spec = scene.session_spec.video_encoder
    if spec and select_encoder_class(request.choice or MANIM, spec) is FfmpegEncoder:
        scene.renderer.file_writer._create_segment_encoder = lambda target: FfmpegEncoder(target, spec)  # noqa: SLF001


def _step(scene: Scene, scheduler: Scheduler, stops: StopRecord) -> None:
    """Run the scene. Raise the first Stop, even if the scene's own code caught it."""
    try:
        run_scene(scene)
        stops.raise_again()
    except UnfitFromHere:
        scheduler.settle(stops.first_undrawn)
        stops.raise_again()
        raise
    except Exception:
        scheduler.settle()
        stops.raise_again()
        raise


def load_scene(request: SceneRequest) -> Callable[[], Scene]:
    """Run the scene's file, then configure the encoder: the file may change Manim's configuration."""
    with running_user_code(request.scene):
        scene_class = load_scene_class(request.scene)
    apply_encoder(request)
    return scene_class


def run_scene(scene: Scene) -> None:
    """Run the scene as `manim render` does, with the renderer and the file writer that it has."""
    from manim.manager import Manager

    if scene.manager is None:
        Manager(scene)
    with running_user_code(str(scene)), room_for_own_calls():
        scene.render()


def _report(request: SceneRequest, scene: Scene, *, why_serial: str | None) -> SceneReport:
    from manim import config

    spec = scene.session_spec.video_encoder
    outputs = move_outputs(scene.output_plan, request.scratch, request.output)
    frames = count_output_frames(scene.output_plan, request.output)
    return SceneReport(
        outputs=outputs,
        frames=frames,
        renderer=config.renderer.value,
        mode="serial" if why_serial else "parallel",
        why_serial=why_serial,
        seed=config.seed,
        encoder={"codec": spec.codec, "pixel_format": spec.pixel_format, **dict(spec.options)} if spec else {},
        seconds=measure_film(frames) if spec else {},
    )
