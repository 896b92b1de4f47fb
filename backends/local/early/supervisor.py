"""The supervisor of a job that it gets later, with a worker that imports Manim meanwhile.

``python -I -m backends.local.early.supervisor``
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.local.worker_start import start_worker
from backends.processes import reproducible_start

WORKER = "renderer.worker.warm.early"
PATH_BYTES = 4096
DESCRIPTORS = 3  # the log, the job's lock and its ticket
_SET_LATER = ("RENDERER_", "TMPDIR")  # the worker reads these after it has got the job


class EarlyWorker:
    """Starts a worker that imports Manim, and then waits for a job."""

    def __init__(self) -> None:
        command, self.environment = reproducible_start(WORKER, [], os.environ)
        self.process = start_worker(command, self.environment, stdin=subprocess.PIPE)

    def begin(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
        """Let it run the worker's command line with these variables, and return its process.

        If it has ended, or the variables could change what it has imported, end it and return None.
        """
        changed = {name for name, _ in set(environment.items()) ^ set(self.environment.items())}
        order = json.dumps({"arguments": list(arguments), "environment": dict(environment)}).encode()
        if all(name.startswith(_SET_LATER) for name in changed) and self._send(order):
            return self.process
        with self.process:  # closes its pipes
            self.process.kill()
        return None

    def _send(self, order: bytes) -> bool:
        assert self.process.stdin  # noqa: S101  # it is a pipe
        try:
            with self.process.stdin as stdin:
                stdin.write(order)
        except BrokenPipeError:  # it has ended
            return False
        return True


def main() -> None:
    """Start the worker, wait for a job, and supervise it."""
    worker = EarlyWorker()
    from backends.local.supervisor import supervise  # takes longer than all before it

    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as channel:
        path, descriptors, _, _ = socket.recv_fds(channel, PATH_BYTES, DESCRIPTORS)
    if not path:  # there is no job; the worker ends with this process
        return
    log, *_locks = descriptors  # the locks stay open, and so held
    os.chdir(path)
    for target in (sys.stdout, sys.stderr):
        os.dup2(log, target.fileno())
    os.close(log)
    supervise(Path(os.fsdecode(path)), worker)


if __name__ == "__main__":
    main()
