"""Create, list and revoke the tokens of those who may use `renderer serve`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from backends import BACKENDS
from backends.errors import SpecError
from backends.gpus.request import parse_gpu
from backends.option_types import format_duration, parse_duration, parse_size
from backends.webhooks.sending import check_url, make_secret, parse_networks
from renderer import config
from renderer.cli.options import Json
from renderer.cli.output import print_json, print_message
from renderer.serve import tokens

_SECRETS = frozenset({"digest", "webhook", "webhook_secret"})  # a URL may have a secret in its path


def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="Who gets the token.", show_default=False)],
    backends: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Backends; default: those of the server.", show_default=False),
    ] = None,
    gpus: Annotated[
        str | None, typer.Option(metavar="GPU,…", help="GPUs by name, or any; default: none.", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Jobs at once.")] = 10,
    seconds: Annotated[str, typer.Option("--time", metavar="TIME", help="Longest attempt: 90s, 10m.")] = "1h",
    shards: Annotated[int, typer.Option(min=1, metavar="N", help="Shards of a scene.")] = 1,
    bundle: Annotated[str, typer.Option(metavar="SIZE", help="Largest project: 512Mi, 2Gi.")] = "64Mi",
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Run its jobs without --untrusted: their code can do what you can.")
    ] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Let it read /metrics, and do nothing else.")] = False,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="URL that gets a signed message when a job of the token ends.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a token, and print it. It is shown this once.

    renderer serve token create --name alice --gpus L4,T4
    """
    if webhook is not None:
        check_url(webhook, parse_networks(config.load({}).settings.serve.webhook_networks))
    text, token = tokens.create(
        name,
        backends=check_words("--backends", backends, _check_backend),
        gpus=check_words("--gpus", gpus, check_gpu),
        jobs=jobs,
        seconds=parse_limit("--time", parse_duration, seconds),
        shards=shards,
        bundle_mib=parse_limit("--bundle", parse_size, bundle),
        untrusted=not trusted,
        metrics=metrics,
        webhook=webhook,
        webhook_secret=make_secret(),
    )
    if json:
        print_json({"token": text, "id": token.id, "webhook_secret": token.webhook_secret})
        return
    print(text)
    rights = "it reads /metrics" if metrics else f"its jobs are {_kind(token)}"
    print_message(f"token {token.id} for {name}; {rights}. It is shown this once")
    if webhook is not None:
        print_message(f"its webhooks are signed with {token.webhook_secret}, which is shown this once as well")


def list_tokens(*, json: Json = False) -> None:
    """List the tokens, and what they may do."""
    found = list(tokens.list_tokens())
    if json:
        print_json([{key: value for key, value in asdict(token).items() if key not in _SECRETS} for token in found])
        return
    for token in found:
        shards = "any shards" if token.shards is None else f"{token.shards} shard{'s' if token.shards > 1 else ''}"
        limits = f"{token.jobs} jobs, {format_duration(token.seconds)}, {shards}, {token.bundle_mib}Mi"
        allowed = "  ".join(",".join(names) or "-" for names in (token.backends, token.gpus))
        print(f"{token.id}  {token.name}  {_kind(token)}  {allowed}  {limits}")


def _complete_id(incomplete: str) -> list[tuple[str, str]]:
    return [(token.id, token.name) for token in tokens.list_tokens() if token.id.startswith(incomplete)]


def revoke(
    key: Annotated[
        str,
        typer.Argument(metavar="ID", help="The token's id.", show_default=False, autocompletion=_complete_id),
    ],
) -> None:
    """Revoke a token: whoever holds it is refused from now on."""
    tokens.revoke(key)
    print_message(f"revoked {key}; the server refuses it from now on")


def _kind(token: tokens.Token) -> str:
    return "metrics" if token.metrics else "untrusted" if token.untrusted else "trusted"


def check_words(option: str, text: str | None, check: Callable[[str], str | None]) -> tuple[str, ...]:
    """Return the words of an option. Raises SpecError for the first in which ``check`` finds a fault."""
    words = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    for word in words:
        if fault := check(word):
            raise SpecError(f"{option} cannot have {word!r}: {fault}")
    return words


def _check_backend(word: str) -> str | None:
    return None if word in BACKENDS else f"backends are {', '.join(BACKENDS)}"


def check_gpu(word: str) -> str | None:
    """Return what is wrong with the name of a GPU; None for a good one."""
    if word == tokens.ANY_GPU:
        return None
    try:
        return None if parse_gpu(word).choices else "it is no GPU"
    except SpecError as error:
        return str(error)


def parse_limit(option: str, parse: Callable[[str], float], text: str) -> Any:
    """Return the value of a limit. Raises SpecError for one that cannot be read or is not more than 0."""
    try:
        value = parse(text)
    except ValueError as error:
        raise SpecError(f"{option} cannot be {text!r}: {error}") from error
    if value <= 0:
        raise SpecError(f"{option} cannot be {text!r}: it must be more than 0")
    return value
