"""Look at this machine, or at the cluster where jobs run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from renderer import config
from renderer.cli.options import Json
from renderer.doctor import examine
from renderer.doctor.line import Line, exit_code, show


def command(
    backend: Annotated[
        Literal["k8s"] | None, typer.Option(help="Look at this backend's service instead.", show_default=False)
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.", show_default=False)] = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the cluster.", show_default=False)] = None,
    image: Annotated[str | None, typer.Option(help="Image that jobs use: it is pulled.", show_default=False)] = None,
    store: Annotated[str | None, typer.Option(help="Store that jobs use: it is asked.", show_default=False)] = None,
    json: Json = False,
) -> int:
    """Look at this machine or container: what renders and encodes here, what is missing, and what to do about it.

    GPU driver, CUDA, EGL and the encoders are used for real, not only looked for. The exit code is 0 unless a line
    failed; warnings are things that only some scenes need.
    """
    flags = {"k8s.context": context, "k8s.namespace": namespace, "image": image, "store": store}
    lines = examine() if backend is None else _cluster({**flags, "backend": backend})
    return exit_code(show(lines, as_json=json))


def _cluster(flags: dict[str, str | None]) -> Iterator[Line]:
    from backends.kubernetes.backend import KubernetesBackend

    settings = config.load(flags).settings
    for check in KubernetesBackend(settings.k8s).examine(settings.image, settings.store):
        yield Line(check.name, check.state, check.found, check.todo)
