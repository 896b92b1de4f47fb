"""Look at this machine, or at the way to a backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer

from renderer.cli.options import Json
from renderer.doctor import examine
from renderer.doctor.line import Line, exit_code, show


def command(
    backend: Annotated[
        Literal["local", "k8s", "modal"],
        typer.Option("--backend", "-b", help="What to look at; local is this machine."),
    ] = "local",
    context: Annotated[str | None, typer.Option(help="k8s: context of the kubeconfig.", show_default=False)] = None,
    namespace: Annotated[str | None, typer.Option(help="k8s: namespace.", show_default=False)] = None,
    image: Annotated[str | None, typer.Option(help="k8s: image to pull and start.", show_default=False)] = None,
    store: Annotated[str | None, typer.Option(help="k8s: store to ask.", show_default=False)] = None,
    json: Json = False,
) -> int:
    """Look at this machine or container: what renders and encodes here, what is missing, and what to do about it.

    GPU driver, CUDA, EGL and the encoders are used for real, not only looked for. With --backend modal: client, token,
    deployed app and volume; with --backend k8s: permissions, GPUs, namespace, store and image. The exit code is 0
    unless a line failed; warnings are things that only some scenes need.
    """
    if backend == "local":
        return exit_code(show(examine(), as_json=json))
    flags = {"k8s.context": context, "k8s.namespace": namespace, "image": image, "store": store}
    return exit_code(show(_cluster(flags) if backend == "k8s" else _modal(), as_json=json))


def _cluster(flags: dict[str, str | None]) -> Iterator[Line]:
    from backends import get_backend
    from renderer import config

    settings = config.load(flags).settings
    kubernetes: Any = get_backend("k8s", settings.k8s)
    for check in kubernetes.examine(settings.image, settings.store):
        yield Line(check.name, check.state, check.found, check.todo)


def _modal() -> Iterator[Line]:
    from backends.modal.doctor import checks
    from renderer import config

    for check in checks(config.load({}).settings.modal):
        yield Line(check.name, check.state, check.found, check.todo)
