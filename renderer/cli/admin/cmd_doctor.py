"""Check this machine, or a backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from backends import get_backend
from backends.diagnostics import Check
from renderer.cli.options import Json
from renderer.doctor import run_checks
from renderer.doctor.report import print_report


def command(
    backend: Annotated[
        Literal["local", "docker", "k8s", "modal"],
        typer.Option("--backend", "-b", help="What to check; local is this machine."),
    ] = "local",
    context: Annotated[str | None, typer.Option(help="k8s: context of the kubeconfig.", show_default=False)] = None,
    namespace: Annotated[str | None, typer.Option(help="k8s: namespace.", show_default=False)] = None,
    image: Annotated[
        str | None, typer.Option(help="docker, k8s: image to look for, or to pull and start.", show_default=False)
    ] = None,
    store: Annotated[str | None, typer.Option(help="k8s: store to check.", show_default=False)] = None,
    json: Json = False,
) -> int:
    """Check this machine or container: what renders and encodes here, what is missing, and what to do about it.

    GPU driver, CUDA, EGL and the encoders are used for real, not only looked for. With --backend modal: client, token,
    deployed app and volume; with --backend k8s: permissions, GPUs, namespace, store and image; with --backend docker:
    engine and image. The exit code is 0 unless a check failed; warnings are things that only some scenes need.
    """
    flags = {"k8s.context": context, "k8s.namespace": namespace, "image": image, "store": store}
    return print_report(_run_checks(backend, flags), as_json=json)


def _run_checks(name: str, flags: dict[str, str | None]) -> Iterator[Check]:
    from renderer import config

    if name == "local":
        yield from run_checks()
    settings = config.load(flags).settings
    backend = get_backend(name, getattr(settings, name))
    yield from backend.doctor(image=settings.image, store=settings.store)
