"""The worker's command line."""

from __future__ import annotations

import gc
import os
import sys

from backends.processes import reproducible_start
from backends.worker_protocol import WORKER

if __name__ == "__main__":
    if sys.flags.hash_randomization:  # start again with a fixed hash seed
        command, environment = reproducible_start(WORKER, sys.argv[1:], os.environ)
        os.execve(command[0], command, environment)  # noqa: S606  # no shell is wanted
    gc.disable()  # importing makes many objects and frees few
    from renderer.worker.main import run

    gc.enable()
    run(sys.argv[1:])
