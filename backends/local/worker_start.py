"""Starts the worker as a child of the supervisor. It imports little: an early supervisor starts the worker first."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from backends.processes import die_with_parent


def start_worker(
    command: Sequence[str], environment: Mapping[str, str], *, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start the command with pipes for what it prints. It gets SIGTERM when this process ends."""
    supervisor = os.getpid()
    return subprocess.Popen(
        command,
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # SIGTERM, at which the worker ends its units, and `docker run` passes it on to the container
        preexec_fn=lambda: die_with_parent(supervisor, signal.SIGTERM),  # noqa: PLW1509  # there is one thread
    )
