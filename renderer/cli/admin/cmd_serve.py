"""Serve an HTTP API and a page, and manage the tokens of those who may use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from backends import BACKENDS
from backends.errors import BackendError, SpecError
from backends.gpus.request import parse_gpu
from backends.option_types import format_duration, parse_duration, parse_size
from renderer.cli.options import Json
from renderer.cli.output import print_json, print_message
from renderer.serve import tokens

_NEW = "What a new token may do"


def command(
    action: Annotated[
        Literal["token"] | None,
        typer.Argument(metavar="[token create|list|revoke]", help="Manage tokens instead.", show_default=False),
    ] = None,
    verb: Annotated[
        Literal["create", "list", "revoke"] | None, typer.Argument(metavar="", hidden=True, show_default=False)
    ] = None,
    key: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="revoke: the token's id.", show_default=False)
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; others than this machine's need tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0: any that is free.")] = 8080,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who gets it.", rich_help_panel=_NEW, show_default=False),
    ] = None,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends",
            metavar="NAME,…",
            help="Backends; default: those of the server.",
            rich_help_panel=_NEW,
            show_default=False,
        ),
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            metavar="GPU,…",
            help="GPUs by name, or any; default: none.",
            rich_help_panel=_NEW,
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Jobs at once.", rich_help_panel=_NEW)] = 10,
    seconds: Annotated[
        str, typer.Option("--time", metavar="TIME", help="Longest attempt: 90s, 10m.", rich_help_panel=_NEW)
    ] = "1h",
    bundle: Annotated[
        str, typer.Option(metavar="SIZE", help="Largest project: 512Mi, 2Gi.", rich_help_panel=_NEW)
    ] = "64Mi",
    trusted: Annotated[
        bool,
        typer.Option(
            "--trusted",
            help="Run its jobs without --untrusted: their code can do what you can.",
            rich_help_panel=_NEW,
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Serve an HTTP API and a page for the jobs of the backends, until Ctrl-C.

    renderer serve

    renderer serve token create --name alice --gpus L4,T4

    Without tokens it listens on this machine alone, and every program here may use it. What callers may change is in
    the settings serve.allow and serve.backends.
    """
    if action is None:
        _serve(host, port)
    elif verb == "create":
        limits: dict[str, Any] = {
            "backends": _check_words("--backends", backends, _check_backend),
            "gpus": _check_words("--gpus", gpus, _check_gpu),
            "jobs": jobs,
            "seconds": _parse("--time", parse_duration, seconds),
            "bundle_mib": _parse("--bundle", parse_size, bundle),
            "untrusted": not trusted,
        }
        _create(name, limits, json=json)
    elif verb == "list":
        _list(json=json)
    elif verb == "revoke" and key:
        tokens.revoke(key)
        print_message(f"revoked {key}; the server refuses it from now on")
    else:
        raise SpecError("write what to do", hint="renderer serve token create --name NAME, list, or revoke ID")


def _serve(host: str, port: int) -> None:
    try:
        from renderer.serve import app
    except ImportError as error:
        raise BackendError(
            f"the packages of the server are not installed: {error.name} is missing",
            hint="pip install 'manim-renderer[serve]'",
        ) from error

    def announce(address: str) -> None:
        print(address, flush=True)
        print_message("open it in a browser; Ctrl-C ends it, jobs go on")

    app.run(host, port, announce=announce)


def _create(name: str | None, limits: dict[str, Any], *, json: bool) -> None:
    if name is None:
        raise SpecError("a token needs a name", hint="renderer serve token create --name alice")
    text, token = tokens.create(name, **limits)
    if json:
        print_json({"token": text, "id": token.id})
        return
    print(text)
    kind = "untrusted" if token.untrusted else "trusted"
    print_message(f"token {token.id} for {name}; its jobs are {kind}. It is shown this once")


def _list(*, json: bool) -> None:
    found = list(tokens.list_tokens())
    if json:
        print_json([{key: value for key, value in asdict(token).items() if key != "digest"} for token in found])
        return
    for token in found:
        kind = "untrusted" if token.untrusted else "trusted"
        limits = f"{token.jobs} jobs, {format_duration(token.seconds)}, {token.bundle_mib}Mi"
        allowed = "  ".join(",".join(names) or "-" for names in (token.backends, token.gpus))
        print(f"{token.id}  {token.name}  {kind}  {allowed}  {limits}")


def _check_words(option: str, text: str | None, check: Callable[[str], str | None]) -> tuple[str, ...]:
    words = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    for word in words:
        if fault := check(word):
            raise SpecError(f"{option} cannot have {word!r}: {fault}")
    return words


def _check_backend(word: str) -> str | None:
    return None if word in BACKENDS else f"backends are {', '.join(BACKENDS)}"


def _check_gpu(word: str) -> str | None:
    if word == tokens.ANY_GPU:
        return None
    try:
        return None if parse_gpu(word).choices else "it is no GPU"
    except SpecError as error:
        return str(error)


def _parse(option: str, parse: Callable[[str], float], text: str) -> Any:
    try:
        value = parse(text)
    except ValueError as error:
        raise SpecError(f"{option} cannot be {text!r}: {error}") from error
    if value <= 0:
        raise SpecError(f"{option} cannot be {text!r}: it must be more than 0")
    return value
