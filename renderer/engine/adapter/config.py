"""Sets Manim's configuration as `manim render` in this folder would set it."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
import traceback
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

from backends.errors import SpecError
from renderer.engine.adapter.encoder_presets import choose_encoder, make_deterministic, uses_x264
from renderer.engine.errors import SceneError
from renderer.engine.guards.tex import restrict_tex
from renderer.engine.request import SceneRequest
from renderer.mirrors import mirrors

_MEDIA = "media"  # Manim's default
_FOLDERS = {
    "video_dir": "videos",
    "sections_dir": "videos/sections",
    "images_dir": "images",
    "tex_dir": "Tex",
    "text_dir": "texts",
    "partial_movie_dir": "segments/{scene_name}",
}


@mirrors("manim.cli.render.commands:render", sha256="89a43f5c8739fb05")
@contextmanager
def configured(request: SceneRequest) -> Iterator[None]:
    """Configure Manim within the block, from the folder's manim.cfg and then the request.

    What Manim itself writes goes to the request's scratch folder. Only ``media_dir`` is where plain Manim has it: there
    are files of the project, and those that scenes and plugins keep.
    """
    from manim import config, tempconfig
    from manim._config.utils import make_config_parser
    from manim.cli.render.commands import render as command

    _keep_mobject_classes()
    restrict_tex()
    with tempconfig({}):
        before = (config.frame_width, config.frame_height)
        with _explained_errors("manim.cfg"):
            config.digest_parser(make_config_parser())
        if (config.frame_width, config.frame_height) != before:
            _refresh_defaults()
        config.input_file = ""
        arguments = Namespace(**_parse(command, _list_arguments(request)))
        with _explained_errors(arguments.config_file):
            config.digest_args(arguments)
        config.media_dir = _choose_media_folder(Path(config.media_dir))
        move_folders(request.scratch / "media")
        if config.output_file:
            config.output_file = Path(config.output_file).name
        config.preview = config.show_in_file_browser = False
        yield


def move_folders(folder: Path) -> None:
    """Let Manim write its own files below the folder."""
    from manim import config

    for key, template in _FOLDERS.items():
        config[key] = f"{folder}/{template}"


def _choose_media_folder(chosen: Path) -> Path:
    """Return Manim's media folder: the one that manim.cfg has chosen, if it is in the current folder."""
    folder = Path.cwd()
    path = Path(os.path.normpath(folder / chosen))
    return path if path.is_relative_to(folder) else folder / _MEDIA


@contextmanager
def _explained_errors(file: str | None) -> Iterator[None]:
    """Raise SceneError for what is wrong in the file, which the block reads, if there is one."""
    try:
        yield
    except Exception as error:
        if file is None or not Path(file).is_file():
            raise
        text = str(error).partition("\n")[0]
        raise SceneError(f"{file} cannot be used: {text}", lines=traceback.format_exc()) from error


def _keep_mobject_classes() -> None:
    """Keep the classes of mobjects when Manim's renderer is set to the one that it already has.

    Manim rebuilds these classes each time that its renderer is set.
    """
    from manim._config.utils import ManimConfig

    set_renderer = ManimConfig.renderer.fset
    if set_renderer.__module__ != __name__:

        def renderer(self: Any, value: Any) -> None:
            if self.renderer.value != str(getattr(value, "value", value)).lower():
                set_renderer(self, value)

        ManimConfig.renderer = ManimConfig.renderer.setter(renderer)


def apply_encoder(request: SceneRequest) -> None:
    """Configure Manim's encoder. Settings of manim.cfg or of the scene's file have priority over the request's."""
    from manim import config

    choice = choose_encoder(request)
    options = {**choice.options, **config.video_encoder_options}
    if config.video_codec == "auto":
        config.video_codec = choice.codec
        if config.pixel_format == "auto":
            config.pixel_format = choice.pixel_format
    else:
        options = config.video_encoder_options
    if uses_x264():
        options = make_deterministic(options)
    config.video_encoder_options = {**options, "threads": "1"}


def _list_arguments(request: SceneRequest) -> list[str]:
    """Return the arguments of `manim render` that mean the same as the request."""
    settings = request.settings
    arguments = ["--progress_bar", "none"]
    if settings.quality:
        arguments += ["--quality", settings.quality]
    if settings.resolution:
        arguments += ["--resolution", "{},{}".format(*settings.resolution)]
    if settings.fps:
        arguments += ["--fps", str(settings.fps)]
    if settings.transparent:
        arguments += ["--transparent"]
    if settings.renderer:
        arguments += ["--renderer", settings.renderer]
    if settings.format:
        arguments += ["--format", settings.format]
    return [*settings.manim_options, *arguments, "--", str(request.file), request.scene]


def _parse(command: Any, arguments: list[str]) -> dict[str, Any]:
    """Return what `manim render` reads from the arguments. Raises SpecError for those that it does not have."""
    from click import ClickException

    try:
        return dict(command.make_context("render", arguments).params)
    except ClickException as error:
        raise SpecError(f"Manim does not take its options: {error.format_message()}") from error


def _refresh_defaults() -> None:
    """Evaluate the default arguments of coordinate systems again: Manim read the configuration for them on import."""
    from manim.mobject.graphing import coordinate_systems

    for _, system in inspect.getmembers(coordinate_systems, inspect.isclass):
        function = system.__dict__.get("__init__")
        if system.__module__ == coordinate_systems.__name__ and inspect.isfunction(function):
            function.__defaults__, function.__kwdefaults__ = _evaluate_defaults(function)


def _evaluate_defaults(function: FunctionType) -> tuple[tuple[object, ...] | None, dict[str, object] | None]:
    """Return the positional and the keyword-only defaults of a function of Manim, evaluated now."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)  # noqa: S101  # for the type checker
    definition.body, definition.decorator_list = [ast.Pass()], []
    namespace: dict[str, FunctionType] = {}
    code = compile(
        ast.fix_missing_locations(tree),
        function.__code__.co_filename,
        "exec",
        flags=_annotations_flag(),
        dont_inherit=True,
    )
    exec(code, function.__globals__, namespace)  # noqa: S102  # Manim's own signature
    evaluated = namespace[definition.name]
    return evaluated.__defaults__, evaluated.__kwdefaults__


def _annotations_flag() -> int:
    """Return the compiler flag of ``from __future__ import annotations``, which Manim's modules use."""
    import __future__

    return __future__.annotations.compiler_flag
