"""Makes the preview of one scene: a contact sheet with a timeline and warnings, or single frames."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

from backends.errors import SpecError
from renderer.engine.abort import KeysNeeded, StopRecord, Unfit
from renderer.engine.adapter.config import configured
from renderer.engine.adapter.outputs import measure_film
from renderer.engine.adapter.preload import warm_up
from renderer.engine.adapter.scratch import usable_path
from renderer.engine.ahead.typesetting import typeset_ahead
from renderer.engine.cache.store import make_own_cache
from renderer.engine.cache.tex_files import TexFiles
from renderer.engine.guards.pixel_access import released_pixels
from renderer.engine.manim_types import Scene
from renderer.engine.preview.checks.findings import Findings
from renderer.engine.preview.contact_sheet import draw_sheet
from renderer.engine.preview.drawing import prepare_drawing
from renderer.engine.preview.origins import Origins
from renderer.engine.preview.recorder import Recorder, write_images
from renderer.engine.preview.stepping import prepare_stepping
from renderer.engine.preview.timeline import PlayEntry, Timeline
from renderer.engine.process.fallback import FallbackProcess
from renderer.engine.process.slots import ProcessSlots
from renderer.engine.render import load_scene, run_scene
from renderer.engine.request import Progress, SceneReport, SceneRequest
from renderer.model import PreviewRequest

MARK = "preview"  # in the names of the contact sheet and of the timeline
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Attempt:
    """How to run the scene. ``more_frames`` are drawn besides those asked for, because the film shows them again.

    ``with_keys`` computes Manim's key of each play, to find plays that it shows again.
    """

    why_every_frame: str | None = None
    more_frames: tuple[int, ...] = ()
    with_keys: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> _Attempt:
        content = json.loads(text)
        return cls(content["why_every_frame"], tuple(content["more_frames"]), content["with_keys"])


@dataclass(frozen=True)
class _MissingFramesError(Exception):
    """Frames are shown that were not drawn."""

    frames: tuple[int, ...]


def preview_scene(request: SceneRequest, wanted: PreviewRequest, *, progress: Progress | None = None) -> SceneReport:
    """Write the preview of the scene into ``request.output``; the current folder is the scene file's project folder.

    Without times and plays in ``wanted``: SCENE.preview.png, the contact sheet, and SCENE.preview.json, the timeline.
    Otherwise SCENE.at-3.2s.png and SCENE.play-7.png, the frames as the film shows them, bit for bit, and the timeline.

    Raises what the scene raises, and SpecError for times and plays that the film does not have, and for OpenGL.
    """
    warm_up()
    started = time.monotonic()
    request = replace(request, settings=replace(request.settings, format=None))
    request.scratch.mkdir(parents=True, exist_ok=True)
    with usable_path(request.scratch) as scratch, configured(request := replace(request, scratch=scratch)):
        _check_renderer()
        tex_files = TexFiles(request.cache or make_own_cache(scratch / "formulas"), scratch / "locks")
        tex_files.install()
        report = _Preview(request, wanted, progress, tex_files).run()
    return replace(report, seconds={**report.seconds, "preview": round(time.monotonic() - started, 3)})


def _check_renderer() -> None:
    from manim import RendererType, config

    if config.renderer != RendererType.CAIRO:
        raise SpecError(
            "a preview is drawn by Manim's Cairo renderer, and this scene is configured for OpenGL",
            hint="add --renderer cairo, or render it: renderer submit",
        )


@dataclass(frozen=True)
class _Preview:
    request: SceneRequest
    wanted: PreviewRequest
    progress: Progress | None
    tex_files: TexFiles

    def run(self) -> SceneReport:
        """Run the scene, up to four times: each attempt goes on in a fork, as those of a render do."""
        attempt = _Attempt()
        while True:
            fallback = FallbackProcess(self.request.scratch / "next-attempt.json")
            if (following := fallback.fork()) is None:
                return self._try(attempt, fallback)
            if self.request.restore:
                self.request.restore()
            attempt = _Attempt.from_json(following)

    def _try(self, attempt: _Attempt, fallback: FallbackProcess) -> SceneReport:
        try:
            return self._run(attempt)
        except Unfit as unfit:
            _log.debug("drawing every frame: %s", unfit)
            self._start_again(fallback, replace(attempt, why_every_frame=str(unfit)))
        except KeysNeeded:
            self._start_again(fallback, replace(attempt, with_keys=True))
        except _MissingFramesError as missing:
            self._start_again(fallback, replace(attempt, more_frames=missing.frames))

    def _start_again(self, fallback: FallbackProcess, attempt: _Attempt) -> NoReturn:
        fallback.start_again(attempt.to_json())

    def _run(self, attempt: _Attempt) -> SceneReport:
        origins = Origins(str(Path.cwd()))
        origins.watch()
        scene_class = load_scene(self.request)
        typeset_ahead(scene_class, self.tex_files, ProcessSlots(), self.request.scratch)
        with _video_settings():
            scene = scene_class()
        findings = Findings(scene, origins)
        recorder = Recorder(scene, self.wanted, origins, findings, str(Path.cwd()), frozenset(attempt.more_frames))
        stops = StopRecord()
        recorder.record_sounds()
        if attempt.why_every_frame:
            prepare_drawing(scene, recorder, self.progress)
        else:
            from renderer.engine.instrument import refuse_own_classes

            refuse_own_classes(scene)
            prepare_stepping(scene, recorder, stops, self.progress, with_keys=attempt.with_keys)
        try:
            run_scene(scene)
        except Exception as error:
            self._write_until_error(scene, recorder, attempt, error)
            raise
        finally:
            stops.raise_again()
        return self._write(scene, recorder, attempt)

    def _write_until_error(self, scene: Scene, recorder: Recorder, attempt: _Attempt, error: Exception) -> None:
        """Write the contact sheet of the plays before an error, which helps to find it."""
        if recorder.shows_sheet and recorder.plays:
            last, name = recorder.plays[-1].number, type(error).__name__
            recorder.findings.notes.append(f"{name} in or after play {last}: what comes later is missing")
            with suppress(Exception):  # the error itself is what matters
                self._write(scene, recorder, attempt)

    def _write(self, scene: Scene, recorder: Recorder, attempt: _Attempt) -> SceneReport:
        """Write the images and the timeline."""
        if not recorder.plays:
            self._keep_still(scene, recorder)
        name = self.request.scene
        images = self._make_frames(recorder) if not recorder.shows_sheet else {}
        timeline = self._describe(scene, recorder, attempt, images=tuple(images) or (f"{name}.{MARK}.png",))
        if recorder.shows_sheet:
            shown = {play.number: recorder.find_drawn(last)[0] for play, last in _last_frames(recorder)}
            images = {f"{name}.{MARK}.png": draw_sheet(timeline, shown)}
        text = json.dumps(timeline.to_json(), ensure_ascii=False, indent=1) + "\n"
        write_images({**images, f"{name}.{MARK}.json": text.encode("utf-8", "replace")}, self.request.output)
        return SceneReport(
            outputs=tuple(Path(item) for item in (*images, f"{name}.{MARK}.json")),
            frames=recorder.position,
            renderer="cairo",
            mode="serial",
            why_serial=attempt.why_every_frame,
            seconds=measure_film(recorder.position),
        )

    def _keep_still(self, scene: Scene, recorder: Recorder) -> None:
        """Keep the image that Manim makes of a scene without plays, as the only frame of the one play 0."""
        recorder.plays.append(PlayEntry(number=0, start_s=0.0, first_frame=0))
        recorder.add_frames(1)
        with released_pixels(scene.renderer.camera):
            recorder.keep(0, scene.renderer.camera.pixel_array)
        recorder.check_play()

    def _make_frames(self, recorder: Recorder) -> dict[str, bytes]:
        """Return the frames that were asked for, by the names of their files."""
        wanted: dict[str, int] = {}
        for seconds in self.wanted.at:
            frame = recorder.frame_at(seconds)
            if frame == recorder.position:  # the very end
                frame -= 1
            if not 0 <= frame < recorder.position:
                end = recorder.position / recorder.fps
                raise SpecError(f"the film of {self.request.scene} ends at {end:g} s: it has no frame at {seconds:g} s")
            wanted[f"{self.request.scene}.at-{seconds:g}s.png"] = frame
        for number in self.wanted.plays:
            play = next((play for play in recorder.plays if play.number == number), None)
            last = recorder.last_frame(play) if play else None
            if last is None:
                numbers = f"its plays are 0 to {recorder.plays[-1].number}" if recorder.plays else "it has no plays"
                raise SpecError(f"the film of {self.request.scene} has no play {number}", hint=numbers)
            wanted[f"{self.request.scene}.play-{number}.png"] = last
        found = {name: recorder.find_drawn(frame) for name, frame in wanted.items()}
        if missing := tuple(sorted({frame for content, frame in found.values() if content is None})):
            raise _MissingFramesError(missing)
        return {name: content for name, (content, _) in found.items() if content is not None}

    def _describe(self, scene: Scene, recorder: Recorder, attempt: _Attempt, *, images: tuple[str, ...]) -> Timeline:
        camera = scene.renderer.camera
        return Timeline(
            scene=self.request.scene,
            file=self.request.file.as_posix(),
            width=camera.pixel_width,
            height=camera.pixel_height,
            fps=recorder.fps,
            frames=recorder.position,
            duration_s=round(recorder.position / recorder.fps, 3),
            plays=recorder.plays,
            sounds=recorder.sounds,
            subcaptions=recorder.list_subcaptions(),
            sections=recorder.list_sections(),
            warnings=recorder.findings.found,
            notes=recorder.findings.notes,
            images=images,
            drawn="every frame" if attempt.why_every_frame else "shown frames",
            why_every_frame=attempt.why_every_frame,
        )


def _last_frames(recorder: Recorder) -> Iterator[tuple[PlayEntry, int]]:
    for play in recorder.plays:
        if (last := recorder.last_frame(play)) is not None:
            yield play, last


@contextmanager
def _video_settings() -> Iterator[None]:
    """Configure Manim for a video: a still image would skip all plays."""
    from manim import config

    config.format, config.save_last_frame, config.dry_run, config.save_sections = None, False, False, False
    yield
