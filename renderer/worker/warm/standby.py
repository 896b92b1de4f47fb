"""A worker that waits with Manim imported, and forks for each job: `renderer watch` has one.

It reads orders from stdin, one a line: ``{"arguments": […], "log": "FILE"}`` runs the worker's command line in a fork,
whose output goes to the file, and an empty line ends what runs. It writes ``ready`` and, for each order that has ended,
``ended CODE`` to stdout. At the end of stdin it ends what runs, and itself.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from backends.exit_codes import ExitCode
from backends.processes import die_with_parent, end_trees
from renderer.engine.patches import kept_mobjects

POLL_INTERVAL_S = 0.02
MOBJECTS = "mobjects"  # folder beside the log, for what the next render need not make again


def main() -> None:
    """Import what renders scenes, then serve orders until stdin ends."""
    os.chdir("/")  # Manim reads a manim.cfg where it is imported; the scene's own is read later
    _import_manim()
    _answer("ready")
    running: int | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        orders, folder = b"", Path()
        while True:
            if selector.select(POLL_INTERVAL_S if running else None):
                data = os.read(sys.stdin.fileno(), 65536)
                if not data:
                    _end(running)
                    return
                *lines, orders = (orders + data).split(b"\n")
                for line in lines:
                    _end(running)
                    running = None
                    if line:
                        order = json.loads(line)
                        folder = Path(order["log"]).with_name(MOBJECTS)
                        running = _start(order, folder)
            if running:
                process, status = os.waitpid(running, os.WNOHANG)
                if process:
                    running = None
                    kept_mobjects.add_from(folder)
                    _answer(f"ended {-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}")


def _import_manim() -> None:
    """Import Manim and the engine; an error is left to the jobs, which report it."""
    with suppress(Exception):
        from renderer.worker.scenes import import_manim

        import_manim()


def _answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _start(order: dict[str, Any], folder: Path) -> int:
    """Fork a worker for the order, and return its process."""
    parent = os.getpid()
    process = os.fork()
    if not process:
        with suppress(OSError):  # the command has removed it: another order follows
            folder.mkdir()
            kept_mobjects.share_with(folder)
        _become_worker(parent, order["arguments"], Path(order["log"]))
    return process


def _become_worker(parent: int, arguments: list[str], log: Path) -> NoReturn:
    code: int = ExitCode.INTERNAL
    try:
        die_with_parent(parent)
        output = os.open(str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, output), (2, output)):
            os.dup2(source, target)
        from renderer.worker.main import main as run_worker

        code = run_worker(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _end(process: int | None) -> None:
    """End a worker with its scenes, and wait for it."""
    if process:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
        end_trees([process])
        with suppress(ChildProcessError):
            os.waitpid(process, 0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is left to the command, which then closes stdin
    main()
