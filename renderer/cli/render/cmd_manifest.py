"""Print what submit would send to Kubernetes."""

from __future__ import annotations

from typing import Annotated

import typer

from renderer import api, config
from renderer.cli.options import takes_render
from renderer.cli.output import print_message
from renderer.cli.render.cmd_map import add_inputs
from renderer.cli.setting_options import Flags, takes_settings
from renderer.spec import NEEDS_LENGTH, RenderSpec


@takes_settings
@takes_render
def command(
    upload: Annotated[bool, typer.Option("--upload", help="With --store: upload the inputs as well.")] = False,
    over: Annotated[
        str | None,
        typer.Option("--over", metavar="INPUTS", help="Print what `renderer map` sends.", show_default=False),
    ] = None,
    *,
    wanted: RenderSpec,
    flags: Flags,
) -> None:
    """Print the objects that `renderer submit --backend k8s` sends with the same options.

    renderer manifest scene.py MyScene | kubectl apply -f -
    """
    wanted = wanted if over is None else add_inputs(wanted, over)
    planned = api.plan(wanted, config.load({**flags, "backend": "k8s"}))
    from backends.kubernetes.backend import KubernetesBackend  # api.plan has reported a missing package

    assert isinstance(planned.backend, KubernetesBackend)  # noqa: S101  # for the type checker
    if planned.prepared.needs_length:
        print_message(f"note: {NEEDS_LENGTH}")
    text = str(planned.backend.resolve(planned.plan, upload=upload))
    if planned.plan.request.upload and not upload:
        print_message("the inputs are not in the store yet: upload them with --upload")
    print(text, end="")
