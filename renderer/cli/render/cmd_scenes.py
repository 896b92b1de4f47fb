"""List the scenes of a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from backends.untrusted import show_line
from renderer import config
from renderer.cli.options import Json
from renderer.cli.output import print_json, print_message
from renderer.spec import RenderSpec, find_scenes
from renderer.units.choice import FoundScenes


def command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Python file with Manim scenes.")],
    untrusted: Annotated[bool | None, typer.Option("--untrusted", help="Never run the file.")] = None,
    json: Json = False,
) -> None:
    """List the scenes of a file, in its order.

    The file is read. Only if it may make scenes as it runs, it is run as well, in a process of its own on a copy of the
    project; with --untrusted it never is.
    """
    found = find_scenes(RenderSpec(path=path), config.load({"untrusted": untrusted}).settings)
    if found.why_partial:
        note = f"note: only scenes that can be read are listed: {found.why_partial}"
        print_message(show_line(note))
    if json:
        print_json([asdict(scene) for scene in found.scenes])
        return
    for scene in found.scenes:
        print(show_line(f"{scene.name}  {scene.doc}" if scene.doc else scene.name))
    if not found.scenes:
        what = " that can be read" if found.why_partial else _describe(path, found)
        print_message(show_line(f"{path.name} has no scenes{what}"))


def _describe(path: Path, found: FoundScenes) -> str:
    """Return the end of a sentence that says what a file without scenes is."""
    if not path.read_bytes().strip():
        return ": it is empty"
    if found.imported:
        files = sorted(set(found.imported.values()))
        return f" of its own: it imports {', '.join(found.imported)} from {', '.join(files)}"
    return "" if found.uses_manim else ": it is a script, and does not use Manim"
