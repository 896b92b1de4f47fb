"""Print what submit would send to Kubernetes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from renderer import api, config
from renderer.cli.cmd_submit import split
from renderer.cli.options import takes_settings
from renderer.spec import RenderSpec

LAST_APPLIED_LIMIT = 262144  # bytes: what client-side apply keeps of an object, in an annotation


@takes_settings
def command(
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
    upload: Annotated[bool, typer.Option("--upload", help="With --store: put the inputs there too.")] = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Print the objects that `renderer submit --backend k8s` sends with the same options.

    renderer manifest scene.py MyScene | kubectl apply -f -
    """
    scenes, arguments = split(names or [])
    wanted = RenderSpec(path=path, scenes=scenes, every=every, arguments=arguments, kind=kind, root=root, name=name)
    planned = api.plan(wanted, config.load({**flags, "backend": "k8s"}).settings)
    kubernetes: Any = planned.backend
    text = str(kubernetes.resolve(planned.plan, upload=upload))
    if planned.plan.request.upload and not upload:
        print("the inputs are not in the store yet: --upload puts them there", file=sys.stderr)
    if len(text) > LAST_APPLIED_LIMIT:
        print("too large for `kubectl apply`: use `kubectl create` or `kubectl apply --server-side`", file=sys.stderr)
    print(text, end="")
