"""Prepare a place where jobs can run."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer


def command(
    place: Annotated[  # noqa: ARG001 - the only one that needs a set-up
        Literal["k8s"], typer.Argument(help="k8s: a namespace of a Kubernetes cluster.")
    ],
    namespace: Annotated[str, typer.Option(help="The namespace to set up.", metavar="NAME")] = "renderer",
    claim: Annotated[
        str | None, typer.Option(help="Also a claim, for --store pvc://NAME.", metavar="NAME", show_default=False)
    ] = None,
    size: Annotated[str, typer.Option(help="Size of that claim.")] = "50Gi",
    storage_class: Annotated[
        str | None, typer.Option(help="Its StorageClass; default: the cluster's.", show_default=False)
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Also what an administrator makes once: RuntimeClass, right to see nodes.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Create it, instead of printing it.")] = False,
    context: Annotated[
        str | None, typer.Option(help="Context of the kubeconfig; default: the current one.", show_default=False)
    ] = None,
) -> None:
    """Print the objects that a namespace needs, or create them with --apply.

    They are: a ServiceAccount with the smallest Role that submits jobs, Pod Security "restricted", network policies,
    and an example of a ResourceQuota.

    renderer setup k8s --namespace renderer | kubectl apply -f -
    """
    from backends.kubernetes.client.client import Api
    from backends.kubernetes.manifests import setup
    from backends.kubernetes.manifests.templates import dump

    wanted = setup.Wanted(namespace=namespace, claim=claim, size=size, storage_class=storage_class, cluster=cluster)
    objects = setup.manifests(wanted)
    if not apply:
        print(dump(objects), end="")
        return
    setup.apply(Api(context), objects)
    for item in objects:
        print(f"{item['kind']} {item['metadata']['name']}", file=sys.stderr)
