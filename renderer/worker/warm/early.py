"""A worker that imports Manim first, and then reads from stdin which job it runs: see backends.local.early.command.

``python -s -m renderer.worker.warm.early``, with ``{"arguments": […], "environment": {…}}`` on stdin: the words of the
worker's command line, and all its variables. Without them it ends.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from typing import NoReturn

from backends.processes import set_dumpable


def main() -> NoReturn:
    """Import Manim, wait for a job, and run the worker."""
    set_dumpable(False)
    os.chdir("/")  # Manim reads a manim.cfg where it is imported; the scene's own is read later
    with suppress(Exception):  # the worker reports it
        from renderer.worker.scenes import import_manim

        import_manim()
    from renderer.worker.main import run

    order = json.loads(sys.stdin.buffer.read() or b"null")
    if order is None:
        os._exit(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, sys.stdin.fileno())
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None  # it may have been chosen while Manim was imported
    run(order["arguments"])


if __name__ == "__main__":
    main()
