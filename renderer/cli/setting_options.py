"""Makes the command line's options from the settings, so that each setting is declared once."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from backends.errors import SpecError
from backends.option_types import ANY_TEXT, OptionInfo, format_duration, format_size, option_info
from renderer.cli.manim_options import manim_parameters, read_manim_options
from renderer.cli.options import complete_from
from renderer.cli.signature import Command, add_parameters
from renderer.settings import Settings

Flags = Mapping[str, object]  # settings that were given on the command line, by dotted key

# how a default is written, by the form of the value
FORMATS: Mapping[str, Callable[[Any], str]] = {"TIME": format_duration, "SIZE": format_size}


def takes_settings(command: Command) -> Command:
    """Add one option for each setting, and Manim's own options. What they set arrives as ``flags``."""
    options = dict(_options())
    parameters = [_parameter(name, field, info) for name, (_, field, info) in options.items()]
    parameters += manim_parameters()

    def read(**values: object) -> Flags:
        given = {options[name][0]: value for name, value in values.items() if name in options}
        return read_manim_options(values, {key: value for key, value in given.items() if value not in (None, [])})

    return add_parameters(command, read, argument="flags", parameters=parameters)


def refuse_webhook(flags: Flags) -> None:
    """Raise SpecError if a webhook was given to a command whose jobs send none."""
    if flags.get("webhook"):
        raise SpecError("--webhook is for jobs of submit, map and retry", hint="leave it out")


def _options() -> Iterator[tuple[str, tuple[str, FieldInfo, OptionInfo]]]:
    """Yield the parameter's name of every setting with a flag, and its dotted key and declaration."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner, inner_field in field.annotation.model_fields.items():
                info = option_info(inner_field)
                if info and info.flags:
                    yield f"{name}_{inner}", (f"{name}.{inner}", inner_field, info)
        elif info := option_info(field):
            yield name, (name, field, info)


def _parameter(name: str, field: FieldInfo, info: OptionInfo) -> inspect.Parameter:
    """Return the parameter of one option. Its value is a text, because Settings parses it and explains errors."""
    flags = info.flags_of(name)
    literals = _literals(field.annotation)
    choices = literals or info.choices
    kind: Any = str | None
    default: list[str] | None = None
    placeholders = literals if info.value == ANY_TEXT else (info.value, *literals)
    metavar: str | None = "|".join(placeholders) or info.value
    if field.annotation is bool:
        kind, metavar = bool | None, None
        flags = (f"{flags[0]}/--no-{flags[0].removeprefix('--')}", *flags[1:])
    elif "dict" in str(field.annotation) or info.repeated:
        kind, default = list[str], []
    shown = typer.Option(
        *flags,
        help=_help(field, info),
        metavar=metavar,
        rich_help_panel=info.group,
        show_default=False,
        autocompletion=complete_from(choices) if choices else None,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown])


def _help(field: FieldInfo, info: OptionInfo) -> str:
    """Return the description as a sentence, with the default."""
    text = field.description or ""
    text = text[:1].upper() + text[1:]
    default = field.default
    if default in (None, False, {}, ()):
        return f"{text}."
    write = FORMATS.get(info.value, str)
    return f"{text}; default: {write(default)}."


def _literals(annotation: object) -> tuple[str, ...]:
    """Return the choices of a Literal, also inside a union."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return tuple(str(choice) for choice in arguments)
    return tuple(choice for argument in arguments for choice in _literals(argument))
