"""Prepare a namespace of a Kubernetes cluster."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backends.errors import SpecError
from backends.option_types import parse_size
from renderer import config
from renderer.cli.options import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.kubernetes.manifests.templates import Manifest


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
            "--untrusted",
            help="For jobs with --untrusted: no store, and a network that is closed to every pod. With --serve, what "
            "the server needs for tokens whose jobs are untrusted.",
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
    serve: Annotated[
        bool,
        typer.Option(
            "--serve",
            help="Instead, what runs `renderer serve`, in the namespace NAME-serve; its jobs run in NAME.",
        ),
    ] = False,
    image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="serve: image of the server and of its jobs.", show_default=False),
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="URI", help="serve: store of its jobs.", show_default=False)
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="serve: how many servers run; default: 2.", show_default=False),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="serve: add an Ingress for this name, as an example.", show_default=False),
    ] = None,
    ingress_class: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="serve: class of that Ingress; default: the cluster's default.", show_default=False
        ),
    ] = None,
    egress_port: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="serve: TCP port that the server may reach besides 443 and 6443: 9000 of MinIO; may be repeated.",
            show_default=False,
        ),
    ] = None,
    image_pull_secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="serve: Secret with the credentials of the image's registry; may be repeated.",
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

    mode = "--serve" if serve else "--preload" if preload else None
    for_namespace = {
        "--claim": claim,
        "--cluster": cluster,
        "--untrusted": untrusted and not serve,
        "--preload": serve and preload,
    }
    for_server = {
        "--image": image,
        "--store": store,
        "--replicas": replicas,
        "--host": host,
        "--ingress-class": ingress_class,
        "--egress-port": egress_port,
        "--image-pull-secret": image_pull_secret,
    }
    _refuse(mode, {**(for_namespace if mode else {}), **({} if serve else for_server)})
    wanted = setup.SetupOptions(
        namespace=namespace,
        claim=claim,
        size=_quantity(size),
        storage_class=storage_class,
        cluster=cluster,
        untrusted=untrusted,
    )
    if serve:
        if ingress_class and not host:
            raise SpecError("--ingress-class is for an Ingress", hint="add --host NAME, or leave it out")
        objects = _build_serve(
            {"image": image, "store": store, "k8s.image_pull_secrets": image_pull_secret},
            namespace=f"{namespace}-serve",
            jobs_namespace=namespace,
            replicas=replicas,
            host=host,
            ingress_class=ingress_class,
            untrusted=untrusted,
            egress_ports=tuple(egress_port or ()),
        )
    else:
        objects = setup.build_preload(namespace, preload) if preload else setup.build_manifests(wanted)
    if not apply:
        print(dump_manifests(objects), end="")
        return
    setup.apply_manifests(Api(context), objects)
    for item in objects:
        print(f"{item['kind']} {item['metadata']['name']}", file=sys.stderr)


def _refuse(mode: str | None, options: Mapping[str, object]) -> None:
    """Raise SpecError if an option was given that says nothing about what is printed."""
    for name, value in options.items():
        if value:
            if mode:
                raise SpecError(f"{name} cannot be combined with {mode}", hint="call `renderer setup k8s` twice")
            raise SpecError(f"{name} is for the server", hint="add --serve, or leave it out")


def _build_serve(given: Mapping[str, object], *, untrusted: bool, **options: Any) -> list[Manifest]:
    """Return the objects of the server. Raises SpecError if it has no image or no store."""
    from backends.kubernetes.manifests.serve import SANDBOX, ServeOptions, build_serve
    from backends.kubernetes.manifests.store_uri import parse_shelf_uri

    settings = config.load({key: value for key, value in given.items() if value}).settings
    if not settings.image:
        raise SpecError(
            "`renderer serve` needs an image",
            hint="add --image with a name that `renderer image push` printed; jobs run in it as well",
        )
    if not settings.store:
        raise SpecError(
            "jobs of `renderer serve` need a store that keeps their outputs",
            hint="add --store s3://BUCKET/PREFIX or --store pvc://CLAIM",
        )
    if untrusted:
        parse_shelf_uri(settings.store, "job")
    known = settings.k8s.runtime_class
    sandbox = SANDBOX if known in {"auto", "none"} else known
    return build_serve(
        ServeOptions(
            image=settings.image,
            store=settings.store,
            runtime_class=sandbox if untrusted else None,
            image_pull_secrets=settings.k8s.image_pull_secrets,
            **{key: value for key, value in options.items() if value},
        )
    )


def _quantity(size: str) -> str:
    """Return the size as Kubernetes writes it; a plain number is bytes there."""
    try:
        parse_size(size)
    except ValueError as error:
        raise SpecError(f"--size cannot be {size!r}: {error}") from error
    return size.replace(" ", "").removesuffix("B")
