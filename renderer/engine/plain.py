"""Renders one scene with a Manim that the parallel engine does not know, as the `manim render` of that Manim does."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends.errors import BackendError
from renderer.engine.adapter.config import configured
from renderer.engine.adapter.loader import load_scene_class
from renderer.engine.adapter.outputs import count_output_frames, move_outputs
from renderer.engine.adapter.scratch import usable_path
from renderer.engine.process.user_code import room_for_own_calls, running_user_code
from renderer.engine.request import SceneReport, SceneRequest
from renderer.engine.shards.exchange import ShardExchange
from renderer.engine.shards.report import ShardReport

_REMEDIES = {"pkg_resources": "pip install 'setuptools<81' beside it"}  # by the module that is missing


@dataclass
class _WrittenFiles:
    """Where an older Manim has put the files of a scene."""

    primary_artifact: Path | None
    fallback_image: Path | None
    subcaption_file: Path | None
    sections_dir: Path | None

    def segment_path(self, name: str) -> Path:
        """Raise NotImplementedError: Manim itself has joined the plays."""
        raise NotImplementedError(name)


def import_manim(version: str, *, is_known: bool = False) -> None:
    """Import Manim, in less time if ``is_known``: if the engine knows this version.

    Raises BackendError if it does not fit to the packages beside it.
    """
    try:
        if is_known:
            from renderer.engine.patches.lean_import import import_manim_lean  # imports NumPy

            import_manim_lean()
        else:
            importlib.import_module("manim")
    except ImportError as error:
        remedy = _REMEDIES.get(error.name or "", "install it again, with the packages that it asks for")
        raise BackendError(f"Manim {version} cannot be imported: {error}; {remedy}") from error
    except Exception as error:  # it reads the user's manim.cfg
        text = str(error).partition("\n")[0]
        own = Path.home() / ".config" / "manim" / "manim.cfg"
        cause = f"; it reads {own}" if own.is_file() else ""
        raise BackendError(f"Manim {version} cannot be imported: {type(error).__name__}: {text}{cause}") from error


def render_plainly(request: SceneRequest, why: str) -> SceneReport:
    """Render the scene into ``request.output`` by Manim alone; ``why`` says why. Raises what the scene raises.

    The current folder is the scene file's project folder.
    """
    started = time.monotonic()
    request.scratch.mkdir(parents=True, exist_ok=True)
    with usable_path(request.scratch) as scratch, configured(request := replace(request, scratch=scratch)):
        exchange = ShardExchange(request.shard, scratch) if request.shard else None
        if exchange and not exchange.arrive(ShardReport(exchange.place.index, why_serial=why)):
            shards = exchange.describe(joined=False)
            return SceneReport(outputs=(), frames=0, renderer="cairo", mode="serial", why_serial=why, shards=shards)
        with running_user_code(request.scene):
            scene_class = load_scene_class(request.scene)
        scene = _render_scene(request, scene_class)
        report = _report(request, scene, why)
        if exchange:
            report = replace(report, shards=exchange.describe(joined=True, why_whole=why))
    return replace(report, seconds={"render": round(time.monotonic() - started, 3)})


def _render_scene(request: SceneRequest, scene_class: Callable[..., Any]) -> Any:
    """Construct and render the scene; return it."""
    from manim import config, tempconfig

    arguments = []
    if str(getattr(config.renderer, "value", config.renderer)) == "opengl":
        from manim.renderer.opengl_renderer import OpenGLRenderer

        if config.format != "png" and not config.save_last_frame:
            config.write_to_movie = True  # otherwise an older Manim only shows a window
        arguments = [OpenGLRenderer()]
    with running_user_code(request.scene), room_for_own_calls(), tempconfig({}):
        scene = scene_class(*arguments)
        scene.render()
    return scene


def _report(request: SceneRequest, scene: Any, why: str) -> SceneReport:
    from manim import config

    plan = _find_files(scene)
    outputs = move_outputs(plan, request.scratch, request.output)
    frames = count_output_frames(plan, request.output)
    renderer = str(getattr(config.renderer, "value", config.renderer))
    return SceneReport(outputs=outputs, frames=frames, renderer=renderer, mode="serial", why_serial=why)


def _find_files(scene: Any) -> _WrittenFiles:
    if hasattr(scene, "output_plan"):
        return scene.output_plan  # type: ignore[no-any-return]  # from Manim 0.22 on
    written = vars(scene.renderer.file_writer)

    def find(name: str) -> Path | None:
        return Path(written[name]) if written.get(name) and str(written[name]) != "." else None

    movie = next((path for path in map(find, ("gif_file_path", "movie_file_path")) if path and path.exists()), None)
    subtitles = find("movie_file_path")
    return _WrittenFiles(
        primary_artifact=movie,
        fallback_image=find("image_file_path"),
        subcaption_file=subtitles and subtitles.with_suffix(".srt"),
        sections_dir=find("sections_output_dir"),
    )
