"""Declares the arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from backends import BACKENDS
from backends.errors import RendererError
from renderer.cli.signature import Command, add_parameters
from renderer.spec import RenderSpec
from renderer.units.choice import KindChoice


def complete_from(choices: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function that completes a word from the choices."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _complete_handle(incomplete: str) -> list[tuple[str, str]]:
    """Return ids and states of this machine's jobs.

    In bash a ``:`` ends a word, so that ``local://`` is not in it, or only its ``//``.
    """
    from renderer import api

    start = next((each for each in ("local://", "//") if incomplete.startswith(each)), "")
    with suppress(RendererError, OSError):
        found = [(start + status.handle.parts[0], status.state.value) for status in api.jobs("local")]
        return [(name, state) for name, state in found if name.startswith(incomplete)]
    return []


def _complete_scene(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the scenes of the file that stand in it, with what they are about. The file is not run."""
    from renderer.scenes import find_scenes

    path, given = context.params.get("path"), context.params.get("names") or []
    with suppress(RendererError, OSError):
        found = find_scenes(Path(path)) if path else []
        left = [scene for scene in found if scene.name.startswith(incomplete) and scene.name not in given]
        return [(scene.name, scene.doc or "") for scene in left]
    return []


_HANDLE: Any = typer.Argument(
    metavar="HANDLE", help="Job handle, as submit printed it: local://hello-1f3a2b.", autocompletion=_complete_handle
)
Handle = Annotated[str, _HANDLE]
Handles = Annotated[list[str], _HANDLE]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Detach = Annotated[
    bool, typer.Option("--detach", "-d", help="Print the job handle and return at once; on k8s this needs --store.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, without sending it.")]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        "-b",
        metavar="NAME",
        help=f"Backend: {', '.join(BACKENDS)}; default: the configured one.",
        show_default=False,
        autocompletion=complete_from(BACKENDS),
    ),
]
Context = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="k8s: kubeconfig context; default: the current one.", show_default=False),
]
Namespace = Annotated[
    str | None, typer.Option(metavar="NAME", help="k8s: namespace; default: the context's.", show_default=False)
]


def _read_render(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Python file: Manim scenes, or a script.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENE …]",
            help="Scenes to render. A script's arguments go after --.",
            autocompletion=_complete_scene,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", "--write_all", help="Render every scene of the file.")] = False,
    kind: Annotated[
        KindChoice,
        typer.Option(help="auto: a file with scenes is a Manim job, any other a script."),
    ] = "auto",
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to upload; default: the current one if the file is below it, else the file's own.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the job; default: the scene's or file's.", show_default=False),
    ] = None,
) -> RenderSpec:
    """Return what to run. ``context.obj`` is the number of arguments after ``--``, which are the script's."""
    words = names or []
    cut = max(0, len(words) - context.obj)
    scenes, arguments = tuple(words[:cut]), tuple(words[cut:])
    return RenderSpec(path=path, scenes=scenes, every=every, arguments=arguments, kind=kind, root=root, name=name)


def takes_render(command: Command) -> Command:
    """Add PATH, SCENE and the options that say what to run; they arrive as ``wanted``, a RenderSpec."""
    return add_parameters(command, _read_render, argument="wanted")
