"""Show the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic_core import to_jsonable_python

from backends.untrusted import show_line
from renderer import config, config_files
from renderer.cli.options import Json
from renderer.cli.output import print_json
from renderer.cli.setting_options import FORMATS, Flags, takes_settings


@takes_settings
def command(
    action: Annotated[
        Literal["trust"] | None,
        typer.Argument(
            metavar="[trust]", help="trust: let the project's file, as it is now, set everything.", show_default=False
        ),
    ] = None,
    json: Json = False,
    *,
    flags: Flags,
) -> None:
    """Show every setting, its value and where it comes from; or trust the project's file.

    Sources, from the weakest to the strongest: the default; your own file, manim-renderer/config.toml in
    XDG_CONFIG_HOME; the project's file, which is renderer.toml, or [tool.renderer] in pyproject.toml, in this folder or
    the nearest one above it; environment variables RENDERER_…; flags.
    """
    if action:
        print(f"trusted as it is now: {show_line(str(config_files.trust(Path.cwd())))}")
        return
    found = list(config.load(flags))
    if json:
        print_json({item.key: {"value": to_jsonable_python(item.value), "origin": item.origin} for item in found})
        return
    width = max(len(item.key) for item in found)
    for item in found:
        print(show_line(f"{item.key:<{width}}  {_write(item):<12}  {item.origin}"))


def _write(item: config.Setting) -> str:
    """Return the value as a user would write it, with its unit."""
    if item.value is None:
        return ""
    if item.form in FORMATS:
        return FORMATS[item.form](item.value)
    value = to_jsonable_python(item.value)
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
