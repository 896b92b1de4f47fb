"""The worker's command line."""

from __future__ import annotations

import os
import sys


def _pin_hash_seed() -> None:
    """Start again with a fixed hash seed: the order of a set of strings would otherwise change from run to run.

    TransformMatchingTex iterates over such a set, so frames would differ. ``-I`` ignores PYTHONHASHSEED; ``-P -s``
    and no PYTHONPATH (kept for the user's script) are the rest of what ``-I`` does.
    """
    if sys.flags.hash_randomization:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        environment["RENDERER_PYTHONPATH"] = environment.pop("PYTHONPATH", "")
        command = [sys.executable, "-P", "-s", "-m", "renderer.worker", *sys.argv[1:]]
        os.execve(sys.executable, command, environment)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    _pin_hash_seed()
    from renderer.worker.main import main

    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to tidy, and taking Manim apart would cost a tenth of a second
