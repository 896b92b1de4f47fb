"""The worker's command line."""

from __future__ import annotations

import os
import sys

from backends.processes import module_code


def _fix_hash_seed() -> None:
    """Start this program again with a fixed hash seed, if it has a random one.

    Otherwise the order of a set of strings changes from run to run, and with it the frames: TransformMatchingTex
    iterates over such a set. Python's option ``-I`` ignores PYTHONHASHSEED. ``-s`` without PYTHONPATH and the current
    folder do what ``-I`` does besides that; PYTHONPATH is kept for the user's script.
    """
    if sys.flags.hash_randomization:
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8"}  # logs are read as UTF-8
        environment["RENDERER_PYTHONPATH"] = environment.pop("PYTHONPATH", "")
        command = [sys.executable, "-s", "-c", module_code("renderer.worker"), *sys.argv[1:]]
        os.execve(sys.executable, command, environment)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    _fix_hash_seed()
    from renderer.worker.main import main

    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a normal exit needs a tenth of a second to destroy Manim's objects
