"""Look at this machine, or at the way to a backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer

from backends.diagnostics import Check
from renderer.cli.options import Json
from renderer.doctor import examine
from renderer.doctor.report import report


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
    flags = {"k8s.context": context, "k8s.namespace": namespace, "image": image, "store": store}
    checks = {"local": examine, "k8s": lambda: _cluster(flags), "modal": _modal}[backend]()
    return report(checks, as_json=json)


def _cluster(flags: dict[str, str | None]) -> Iterator[Check]:
    from backends import get_backend
    from renderer import config

    settings = config.load(flags).settings
    kubernetes: Any = get_backend("k8s", settings.k8s)
    found: Iterator[Check] = kubernetes.examine(settings.image, settings.store)
    return found


def _modal() -> Iterator[Check]:
    from backends.modal.doctor import checks
    from renderer import config

    return checks(config.load({}).settings.modal)
