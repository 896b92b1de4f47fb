"""Options that several commands share, declared once; those of the settings come from the settings themselves."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from renderer.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Handle = Annotated[str, typer.Argument(help="The job, as submit printed it: local://hello-1f3a2b.")]
Handles = Annotated[list[str], typer.Argument(help="The jobs, as submit printed them: local://hello-1f3a2b.")]


def takes_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option for each setting; they arrive as the argument ``flags``, by dotted key."""
    options = dict(_options())
    own = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def call(**arguments: Any) -> Any:
        flags = {key: arguments.pop(name) for name, (key, _) in options.items()}
        return command(**arguments, flags={key: value for key, value in flags.items() if value not in (None, [])})

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in own.parameters.values()
        if parameter.name != "flags"
    ]
    parameters += [parameter for _, parameter in options.values()]
    call.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # what Typer reads
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
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
