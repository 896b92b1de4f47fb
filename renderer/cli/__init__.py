"""The command line: one file for each verb, imported when it is called.

A verb's file ``cmd_<verb>.py`` has a function ``command`` with Typer's annotations. It parses, calls renderer.api and
prints; errors are left to the boundary here.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn

FOLDERS: Mapping[str, str] = {"Render": "render", "Jobs": "jobs", "Set-up": "admin"}
VERBS: Mapping[str, Mapping[str, str]] = {
    "Render": {
        "submit": "Render scenes of a Manim file, or run a Python script",
        "scenes": "List the scenes of a file without running it",
        "manifest": "Print what submit would send to Kubernetes",
    },
    "Jobs": {
        "list": "List the jobs",
        "status": "Show the state of a job, and why it is so",
        "logs": "Print what a job printed",
        "wait": "Wait until a job has ended",
        "fetch": "Bring a job's outputs here",
        "cancel": "Stop a job",
        "delete": "Remove a job and what it stored",
    },
    "Set-up": {
        "doctor": "Look at this machine: what renders and encodes here, what is missing",
        "gc": "Remove what old jobs left at a backend",
        "gpus": "Show the GPUs that can be asked for",
        "image": "Build, push and name the container image",
        "setup": "Prepare a namespace of a Kubernetes cluster",
        "config": "Show every setting and where it comes from",
    },
}


def main() -> NoReturn:
    """Run the command line and exit."""
    gc.set_threshold(200_000)  # imports make much and drop nothing: looking for garbage is a fifth of a start
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup lets SIGHUP be ignored
            signal.signal(number, _interrupt)
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # before the boundary was there to see it
        sys.exit(130)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Let a command that is told to end do so as at Ctrl-C: nothing half done is left behind."""
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """Run one command; give its exit code."""
    verb, *rest = arguments or ["--help"]
    if verb in {"--help", "-h", "help"} and not rest:
        print(overview())
        return 0
    if verb == "--version":
        import importlib.metadata

        print(importlib.metadata.version("manim-renderer"))
        return 0
    from renderer.cli import boundary

    return boundary.run(verb, rest)


def overview() -> str:
    """Give what `renderer --help` prints."""
    lines = [
        "Usage: renderer COMMAND [OPTIONS] …",
        "",
        "Render Manim scenes and Python scripts on this machine, on Kubernetes or on Modal.",
    ]
    for group, verbs in VERBS.items():
        lines += ["", f"{group}:", *(f"  {verb:<9} {text}" for verb, text in verbs.items())]
    lines += ["", "`renderer COMMAND --help` shows a command's options. Every command takes --debug (tracebacks)."]
    lines += ["A first video: renderer submit scene.py MyScene"]
    return "\n".join(lines)
