"""Options that several commands share, declared once; those of the settings come from the settings themselves."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from renderer.settings import Settings
from renderer.spec import RenderSpec

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Handle = Annotated[str, typer.Argument(help="The job, as submit printed it: local://hello-1f3a2b.")]
Handles = Annotated[list[str], typer.Argument(help="The jobs, as submit printed them: local://hello-1f3a2b.")]


def _render(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A Python file: Manim scenes, or a script.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCENE …]", help="Scenes to render; for a script, its arguments after --."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Render every scene of the file.")] = False,
    kind: Annotated[
        Literal["auto", "manim", "script"], typer.Option(help="A file with scenes is a Manim job, any other a script.")
    ] = "auto",
    root: Annotated[
        Path | None, typer.Option(help="The folder that is sent along; default: the file's own.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="The job's name; default: the scene's.", show_default=False)] = None,
) -> RenderSpec:
    """Read the arguments that say what to run. Scenes stand before ``--``, a script's arguments after it."""
    given = names or []
    cut = len(given) - len(sys.argv[sys.argv.index("--") + 1 :]) if "--" in sys.argv else len(given)
    scenes, arguments = tuple(given[:cut]), tuple(given[cut:])
    return RenderSpec(path=path, scenes=scenes, every=every, arguments=arguments, kind=kind, root=root, name=name)


def takes_render(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command PATH, SCENE and what else says what to run; they arrive as ``wanted``, a RenderSpec."""
    own = inspect.signature(_render, eval_str=True).parameters
    return _replace(command, "wanted", list(own.values()), _render)


def takes_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each setting; those that were given arrive as ``flags``, by dotted key."""
    options = _options()

    def given(**values: Any) -> dict[str, Any]:
        return {options[name][0]: value for name, value in values.items() if value not in (None, [])}

    return _replace(command, "flags", [parameter for _, parameter in options.values()], given)


def _replace(
    command: Callable[..., Any], name: str, parameters: list[inspect.Parameter], make: Callable[..., Any]
) -> Callable[..., Any]:
    """Put ``parameters`` where the command has the one called ``name``, which ``make`` makes of them."""
    own = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def call(**arguments: Any) -> Any:
        made = make(**{parameter.name: arguments.pop(parameter.name) for parameter in parameters})
        return command(**arguments, **{name: made})

    rest = [parameter for parameter in own.parameters.values() if parameter.name != name]
    shown = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*parameters, *rest)]
    call.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]  # what Typer reads
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return call


def _options() -> dict[str, tuple[str, inspect.Parameter]]:
    found = {}
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            for inner, inner_info in info.annotation.model_fields.items():
                if _extra(inner_info).get("flags"):
                    found[f"{name}_{inner}"] = (f"{name}.{inner}", _parameter(f"{name}_{inner}", inner_info))
        else:
            found[name] = (name, _parameter(name, info))
    return found


def _parameter(name: str, info: FieldInfo) -> inspect.Parameter:
    """Describe one option. Values arrive as text: the settings' own model checks them and says what is wrong."""
    extra = _extra(info)
    flags = extra.get("flags") or ["--" + name.replace("_", "-")]
    kind: Any = str | None
    default: Any = None
    metavar = "|".join(_choices(info.annotation)) or extra.get("metavar", "TEXT")
    if info.annotation is bool:
        kind, metavar = bool | None, None
        flags = [f"{flags[0]}/--no-{flags[0].removeprefix('--')}"]
    elif "dict" in str(info.annotation) or extra.get("repeated"):
        kind, default = list[str], []
    panel = extra.get("group", "Other")
    option = typer.Option(*flags, help=_help(info), metavar=metavar, rich_help_panel=panel, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _help(info: FieldInfo) -> str:
    text = (info.description or "").strip()
    shown = f"{info.default:g}" if isinstance(info.default, float) else str(info.default)
    return text[:1].upper() + text[1:] + ("." if info.default in (None, False, {}, ()) else f"; default: {shown}.")


def _choices(annotation: Any) -> list[str]:
    arguments = getattr(annotation, "__args__", ())
    if typing.get_origin(annotation) is typing.Literal:
        return [str(choice) for choice in arguments]
    return [choice for argument in arguments for choice in _choices(argument)]
