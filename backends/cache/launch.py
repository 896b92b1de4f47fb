"""Starts the process that reads and writes the shared cache for one local job, beside its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from backends.cache.client import VARIABLE
from backends.files import state_folder
from backends.models import JobSpec
from backends.processes import die_with_parent
from backends.untrusted.trees import remove_tree

SOCKET = "cache"  # in the worker's scratch folder
KEY_FILE = "shared-cache.key"  # in this user's state folder


def serve_command(spec: JobSpec) -> tuple[str, ...]:
    """Return the command that serves the shared cache of the job; nothing for a job without one."""
    if not spec.cache:
        return ()
    key = state_folder(KEY_FILE).absolute()
    return (sys.executable, "-I", "-m", "backends.cache", spec.cache, str(key))


def start_cache_server(
    command: tuple[str, ...], scratch: Path, spool: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Start the server, which ends with this process. Return the variable that names its socket to the worker.

    ``scratch`` is a short path to the worker's scratch folder, ``spool`` a folder that the job cannot reach. The
    credentials of the store are in ``environment``.
    """
    remove_tree(spool)
    spool.mkdir(mode=0o700)
    socket = scratch / SOCKET
    parent = os.getpid()
    subprocess.Popen(
        [*command, str(socket), str(spool)],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(parent, signal.SIGKILL),  # noqa: PLW1509  # there is one thread
    )
    return {VARIABLE: str(socket)}
