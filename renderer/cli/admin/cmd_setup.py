"""Prepare a namespace of a Kubernetes cluster."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from backends.errors import SpecError
from backends.option_types import parse_size
from renderer.cli.options import Context


def command(
    backend: Annotated[  # noqa: ARG001  # the only one that needs a set-up
        Literal["k8s"], typer.Argument(metavar="k8s", help="The backend to set up.", show_default=False)
    ],
    namespace: Annotated[str, typer.Option(help="Namespace to set up.", metavar="NAME")] = "renderer",
    claim: Annotated[
        str | None,
        typer.Option(
            help="Add a PersistentVolumeClaim of this name, for --store pvc://NAME.", metavar="NAME", show_default=False
        ),
    ] = None,
    size: Annotated[str, typer.Option(metavar="SIZE", help="Size of that PersistentVolumeClaim: 50Gi, 1Ti.")] = "50Gi",
    storage_class: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Its StorageClass; default: the cluster's default.", show_default=False),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster", help="Add what an administrator creates once: a RuntimeClass, and the right to list nodes."
        ),
    ] = False,
    untrusted: Annotated[
        bool,
        typer.Option(
            "--untrusted", help="For jobs with --untrusted: no store, and a network that is closed to every pod."
        ),
    ] = False,
    preload: Annotated[
        str | None,
        typer.Option(
            metavar="IMAGE",
            help="Instead, a DaemonSet that brings this image to every node with a GPU before the first job.",
            show_default=False,
        ),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Create the objects instead of printing them.")] = False,
    context: Context = None,
) -> None:
    """Print the objects that a namespace needs, or create them with --apply.

    They are a ServiceAccount with the smallest Role that can submit jobs, Pod Security "restricted", network policies
    and an example of a ResourceQuota.

    renderer setup k8s --namespace renderer | kubectl apply -f -
    """
    from backends.kubernetes.client.client import Api
    from backends.kubernetes.manifests import setup
    from backends.kubernetes.manifests.templates import dump_manifests

    wanted = setup.SetupOptions(
        namespace=namespace,
        claim=claim,
        size=_quantity(size),
        storage_class=storage_class,
        cluster=cluster,
        untrusted=untrusted,
    )
    objects = setup.build_preload(namespace, preload) if preload else setup.build_manifests(wanted)
    if not apply:
        print(dump_manifests(objects), end="")
        return
    setup.apply_manifests(Api(context), objects)
    for item in objects:
        print(f"{item['kind']} {item['metadata']['name']}", file=sys.stderr)


def _quantity(size: str) -> str:
    """Return the size as Kubernetes writes it; a plain number is bytes there."""
    try:
        parse_size(size)
    except ValueError as error:
        raise SpecError(f"--size cannot be {size!r}: {error}") from error
    return size.replace(" ", "").removesuffix("B")
