"""Serve an HTTP API and a page."""

from __future__ import annotations

from typing import Annotated

import typer

from backends.errors import BackendError
from renderer.cli.admin import serve_tokens
from renderer.cli.output import print_message

GROUPS = {
    "token": (
        "Make, list and revoke the tokens of those who may use the server.",
        {"create": serve_tokens.create, "list": serve_tokens.list_tokens, "revoke": serve_tokens.revoke},
    )
}


def command(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; others than this machine's need tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port; 0: any that is free.")] = 8080,
) -> None:
    """Serve an HTTP API and a page for the jobs of the backends, until Ctrl-C.

    renderer serve

    renderer serve token create --name alice --gpus L4,T4

    Without tokens it listens on this machine alone, and every program here may use it. What callers may change is in
    the settings serve.allow and serve.backends.
    """
    if context.invoked_subcommand is None:
        _serve(host, port)


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
