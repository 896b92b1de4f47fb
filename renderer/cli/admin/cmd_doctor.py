"""Check this machine, or a backend."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from backends.diagnostics import Check
from renderer import api, config
from renderer.cli.options import Context, Json, Namespace
from renderer.doctor import run_checks
from renderer.doctor.report import print_report


def command(
    backend: Annotated[
        Literal["local", "docker", "k8s", "modal"],
        typer.Option("--backend", "-b", help="What to check; local is this machine."),
    ] = "local",
    context: Context = None,
    namespace: Namespace = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="docker: image to look for; k8s: image to pull and start; default: the configured one.",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URI", help="k8s: store to check; default: the configured one.", show_default=False),
    ] = None,
    json: Json = False,
) -> int:
    """Check this machine or container: what renders and encodes here, what is missing, and what to do about it.

    The GPU driver, CUDA, EGL and the encoders are used, not only looked for. --backend modal checks the client, the
    token, the deployed app and the volume; --backend k8s permissions, GPUs, namespace, store and image; --backend
    docker the engine and the image.

    The exit code is 0 unless a check failed. Warnings concern only some scenes.
    """
    flags = {"k8s.context": context, "k8s.namespace": namespace, "image": image, "store": store}
    return print_report(_run_checks(backend, flags), as_json=json)


def _run_checks(name: str, flags: dict[str, str | None]) -> Iterator[Check]:
    if name == "local":
        yield from run_checks()
        if sys.platform != "linux":
            return  # there is no backend to ask
    settings = config.load(flags).settings
    yield from api.open_backend(name, settings).doctor(image=settings.image, store=settings.store)
