"""Offer an agent tools to check, preview and render the scenes of a folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from backends.errors import BackendError, SpecError
from backends.exit_codes import ExitCode
from backends.option_types import parse_duration
from renderer.cli.admin.serve_tokens import check_gpu, check_words, parse_limit
from renderer.serve.tokens import Token


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder whose files the agent may run.", show_default=False)
    ] = Path(),
    gpus: Annotated[
        str | None, typer.Option(metavar="GPU,…", help="GPUs by name, or any; default: none.", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Jobs at once.")] = 10,
    seconds: Annotated[str, typer.Option("--time", metavar="TIME", help="Longest attempt: 90s, 10m.")] = "1h",
    trusted: Annotated[
        bool,
        typer.Option("--trusted", help="Run the jobs without --untrusted: their code can do what you can."),
    ] = False,
) -> None:
    """Offer an agent tools to check, preview and render the scenes of a folder, by the Model Context Protocol.

    renderer mcp my-project

    The agent's program starts it and speaks with it over stdin and stdout.
    """
    if not folder.is_dir():
        raise SpecError(f"{folder} is no folder", hint="name the folder of the project: renderer mcp my-project")
    root = folder.resolve()
    limits = Token(
        id="",
        name="",
        created="",
        digest="",
        jobs=jobs,
        seconds=parse_limit("--time", parse_duration, seconds),
        gpus=check_words("--gpus", gpus, check_gpu),
        untrusted=not trusted,
    )
    try:
        from renderer.serve.agents import folder as agents
    except ImportError as error:
        raise BackendError(
            f"the packages for agents are not installed: {error.name} is missing",
            hint="pip install 'manim-renderer[mcp]'",
        ) from error
    os.chdir(root)
    for number in (signal.SIGINT, signal.SIGTERM):  # the thread that reads stdin cannot be interrupted
        signal.signal(number, lambda _number, _frame: os._exit(ExitCode.INTERRUPTED))
    try:
        agents.serve(agents.FolderJobs(root, limits))
    except* BrokenPipeError:  # the agent's program has gone before an answer; its jobs go on
        pass
