"""Show the settings."""

from __future__ import annotations

from pydantic_core import to_jsonable_python

from renderer import config
from renderer.cli.options import Json
from renderer.cli.output import print_json
from renderer.cli.setting_options import Flags, takes_settings


@takes_settings
def command(json: Json = False, *, flags: Flags) -> None:
    """Show every setting, its value and where it comes from.

    Sources, from the weakest to the strongest: the default; renderer.toml, or [tool.renderer] in pyproject.toml, in
    this folder or the nearest one above it; environment variables RENDERER_…; flags.
    """
    found = list(config.load(flags))
    if json:
        print_json({item.key: {"value": to_jsonable_python(item.value), "origin": item.origin} for item in found})
        return
    width = max(len(item.key) for item in found)
    for item in found:
        value = "" if item.value is None else str(to_jsonable_python(item.value)).removesuffix(".0")
        print(f"{item.key:<{width}}  {value:<12}  {item.origin}")
