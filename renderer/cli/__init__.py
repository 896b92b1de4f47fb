"""The command line. Each command has its own file, which is imported only when the command is called.

``cmd_NAME.py`` has a function ``command`` with Typer's annotations. It parses, calls renderer.api and prints;
renderer.cli.boundary turns errors into messages and exit codes.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn, TextIO

from renderer.cli.encoding import tolerate_encoding

COMPLETION_VARIABLE = "_RENDERER_COMPLETE"  # set by the script that --install-completion installs
FOLDERS: Mapping[str, str] = {"Render": "render", "Jobs": "jobs", "Set-up": "admin"}
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Render": {
        "submit": "Render scenes of a Manim file, or run a Python script",
        "map": "Run a scene or a script once for each of many inputs",
        "preview": "Show what scenes will look like, with warnings, before they are rendered",
        "watch": "Render again each time that a file is saved",
        "scenes": "List the scenes of a file",
        "manifest": "Print what submit would send to Kubernetes",
    },
    "Jobs": {
        "list": "List the jobs",
        "status": "Show a job's state, and why it waits or failed",
        "logs": "Print a job's log",
        "wait": "Wait until a job has ended",
        "fetch": "Download a job's outputs",
        "retry": "Run what failed of a job again",
        "cancel": "Stop jobs",
        "delete": "Remove jobs and what they stored",
    },
    "Set-up": {
        "doctor": "Check what works on this machine or a backend, and what is missing",
        "gc": "Remove old files that jobs left at a backend",
        "gpus": "List the GPUs that --gpu can name",
        "image": "Build, push and name the container image",
        "setup": "Prepare a namespace of a Kubernetes cluster",
        "config": "Show every setting and where it comes from",
        "serve": "Serve an HTTP API and a page for your jobs",
        "mcp": "Offer an agent tools to check, preview and render scenes",
    },
}
RENDERING = frozenset({"submit", "map", "preview"})  # commands whose jobs may render scenes on this machine


def main() -> NoReturn:
    """Run the command line and exit."""
    tolerate_encoding()
    gc.set_threshold(200_000)  # collecting garbage during the imports would take a fifth of the start
    for number in (signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else [])):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup lets SIGHUP be ignored
            signal.signal(number, _interrupt)
    try:
        sys.exit(_complete() if COMPLETION_VARIABLE in os.environ else run(sys.argv[1:]))
    except KeyboardInterrupt:  # before the boundary could see it
        sys.exit(130)
    except BrokenPipeError:  # while the overview was printed
        discard(sys.stdout)
        sys.exit(0)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """End the command on SIGTERM as on Ctrl-C, so that it can clean up."""
    raise KeyboardInterrupt


def _complete() -> int:
    """Print completions for the command line that the shell has put into environment variables."""
    from renderer.cli.commands import command_group

    command_group().main([], prog_name="renderer")
    return 1  # it has ended the process already


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    if arguments in ([], ["--help"], ["-h"], ["help"]):
        print(overview())
        return 0
    if arguments[:1] == ["--version"]:
        import importlib.metadata

        print(importlib.metadata.version("manim-renderer"))
        return 0
    if arguments[0] not in RENDERING:
        return _run_command(arguments)
    from renderer.cli.render.early_start import started_early

    with started_early(arguments[1:]):
        return _run_command(arguments)


def _run_command(arguments: list[str]) -> int:
    from renderer.cli import boundary

    return boundary.run(arguments)


def discard(stream: TextIO) -> None:
    """Redirect a stream that nobody reads any more to /dev/null, so that Python's last flush does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def overview() -> str:
    """Return what `renderer --help` prints."""
    lines = [
        "Usage: renderer COMMAND [OPTIONS] …",
        "",
        "Render Manim scenes and Python scripts on this machine, on Kubernetes or on Modal.",
    ]
    for group, commands in COMMANDS.items():
        lines += ["", f"{group}:", *(f"  {name:<9} {text}" for name, text in commands.items())]
    lines += [
        "",
        "`renderer COMMAND --help` shows the options of a command.",
        "Every command takes --verbose (print what happens, on stderr) and --debug (print tracebacks).",
        "Shell completion: renderer --install-completion (or --show-completion), for bash, zsh and fish.",
        "A first video: renderer submit scene.py MyScene",
    ]
    return "\n".join(lines)
