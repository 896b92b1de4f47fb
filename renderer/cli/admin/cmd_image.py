"""Build, push and name the container image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from backends.errors import InputError
from backends.exit_codes import ExitCode
from backends.files import data_dir
from backends.image.context import DOCKERFILE
from backends.image.requirements import read_requirements
from backends.modal.deploy.dockerfile_rules import lint
from backends.untrusted import show_line, show_text
from renderer.cli.options import Json, complete_from
from renderer.cli.output import print_json
from renderer.image import build as building
from renderer.image.engines import ENGINES, find_engine, pin
from renderer.image.spec import CUDA, REPOSITORY, USUAL_CUDA, ImageSpec

_CONTENT = "Content of the image"


def command(
    action: Annotated[
        Literal["build", "push", "tag", "lint"],
        typer.Argument(metavar="build|push|tag|lint", show_default=False, help="What to do."),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- OPTION …]", help="Options for the container engine, after --; for lint: Dockerfiles."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Repository, with its registry for push; a tag in it is used as it is.")
    ] = REPOSITORY,
    cuda: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help=f"CUDA version of NVIDIA's base image: {', '.join(CUDA)}; none for a --base without CUDA; "
            f"default: {USUAL_CUDA}.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Base image instead of NVIDIA's.", rich_help_panel=_CONTENT)
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Base image of the last stage; default: --base.", rich_help_panel=_CONTENT),
    ] = None,
    tex: Annotated[
        Literal["small", "full"],
        typer.Option(help="TeX packages: small, or full for all of TeX Live (7 GB).", rich_help_panel=_CONTENT),
    ] = "small",
    python: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            help="Lowest Python version; the base image's own Python is used if it is new enough.",
            rich_help_panel=_CONTENT,
        ),
    ] = "3.11",
    tz: Annotated[
        str, typer.Option(metavar="ZONE", help="Time zone: UTC, Asia/Shanghai.", rich_help_panel=_CONTENT)
    ] = "UTC",
    packages: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="PACKAGE", help="Python package to add; may be repeated.", rich_help_panel=_CONTENT
        ),
    ] = None,
    requirements: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File that lists Python packages to add.", rich_help_panel=_CONTENT),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Container engine: docker, podman or buildah; default: the first that works.",
            autocompletion=complete_from(ENGINES),
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that the container engine prints, and what happens.")
    ] = False,
    json: Json = False,
) -> int:
    """Build the image that all backends use, push it, print its name (tag), or check a Dockerfile for Modal (lint).

    renderer image build --name ghcr.io/me/manim-renderer --with cupy-cuda12x

    renderer image push --name ghcr.io/me/manim-renderer --with cupy-cuda12x

    The tag is made of the content: the same options give the same name, and a change gives another one.
    """
    if action == "lint":
        return _lint(arguments or [], json=json)
    spec = ImageSpec(
        name=name,
        cuda=cuda,
        base=base,
        runtime=runtime,
        tex=tex,
        python=python,
        tz=tz,
        extra=read_requirements(packages or [], requirements),
    )
    reference = spec.reference()
    if action == "push":
        return _push(reference, engine, arguments or [], json=json)
    if action == "build":
        return _build(spec, engine, arguments or [], verbose=verbose, json=json)
    print_json({"image": reference}) if json else print(reference)
    return ExitCode.OK


def _build(spec: ImageSpec, engine: str | None, options: list[str], *, verbose: bool, json: bool) -> int:
    built = building.build(spec, find_engine(engine), options, _show, verbose=verbose)
    _show(f"{built.size}, CUDA {built.cuda}" if built.cuda else built.size)
    for base, digest in built.bases.items():
        _show(f"base image {pin(base, digest)}" if digest else f"base image {base}, with an unknown digest")
    if json:
        bases = [{"image": name, "digest": digest} for name, digest in built.bases.items()]
        steps = [{"place": step.place, "text": step.text, "seconds": step.seconds} for step in built.steps]
        print_json({"image": built.reference, "size": built.size, "cuda": built.cuda, "bases": bases, "steps": steps})
    else:
        print(built.reference)
    return ExitCode.OK


def _push(reference: str, engine: str | None, options: list[str], *, json: bool) -> int:
    digest = building.push(reference, find_engine(engine), options, _show)
    if digest:
        _show(f"it is {pin(reference, digest)}, whatever is pushed under its tag later")
    print_json({"image": reference, "digest": digest}) if json else print(reference)
    return ExitCode.OK


def _lint(files: list[str], *, json: bool) -> int:
    paths = [Path(file) for file in files] or [data_dir("docker") / DOCKERFILE.name]
    found = []
    for path in paths:
        try:
            found += [(path, finding) for finding in lint(path.read_text("utf-8"))]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {str(path)!r}: {error}") from error
    if json:
        print_json([{"file": str(path), "line": item.line, "message": item.message} for path, item in found])
    else:
        for path, item in found:
            print(show_line(f"{path}:{item.line}: {item.message}"))
    return ExitCode.USAGE if found else ExitCode.OK


def _show(line: str) -> None:
    print(show_text(line), file=sys.stderr, flush=True)
