"""List the scenes of a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from backends.untrusted import show_line
from renderer.cli.options import Json
from renderer.cli.output import print_json
from renderer.scenes import find_scenes


def command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Python file with Manim scenes.")],
    json: Json = False,
) -> None:
    """List the scenes of a file, in its order. The file is parsed, never imported or run."""
    found = find_scenes(path)
    if json:
        print_json([asdict(scene) for scene in found])
        return
    for scene in found:
        print(show_line(f"{scene.name}  {scene.doc}" if scene.doc else scene.name))
