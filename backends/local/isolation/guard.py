"""The guard of an untrusted job: starts the worker in the sandbox and takes what it sends.

``python -I -m backends.local.isolation.guard FOLDER LIMITS WORKER…``. It runs outside the worker's namespaces,
where the job can neither stop nor see it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from backends.exit_codes import ExitCode
from backends.local.folder import JobFolder
from backends.local.isolation.control_group import GroupLimits, create_groups, find_memory_events
from backends.local.isolation.relay import Relay
from backends.local.isolation.sandbox import (
    SandboxLimits,
    choose_user,
    make_command,
    make_environment,
    make_options,
    write_accounts,
)
from backends.local.isolation.seccomp import build_filter
from backends.processes import die_with_parent, read_oom_kills
from backends.worker_protocol import SEND

FIRST_ERROR_CODE = 125  # of setpriv, prlimit and shells; 128 and a signal's number after that


def main() -> int:
    """Run the worker that the arguments name; return its exit code."""
    folder, limits = JobFolder(Path(sys.argv[1])), SandboxLimits.from_json(sys.argv[2])
    try:
        process = start_worker(folder, limits, [*sys.argv[3:], SEND])
    except (OSError, subprocess.SubprocessError) as error:
        return _fail(f"the sandbox does not start: {error}", ExitCode.BACKEND)
    code = Relay(folder, limits.outputs).follow(process)
    if 0 <= code < FIRST_ERROR_CODE:
        return code
    if (events := find_memory_events(folder.id)) and read_oom_kills(str(events)):
        return _fail("the job ran out of memory: the kernel ended it", ExitCode.OUT_OF_MEMORY)
    return _fail(f"the worker was ended in its sandbox (exit code {code})", ExitCode.LOST)


def start_worker(folder: JobFolder, limits: SandboxLimits, worker: list[str]) -> subprocess.Popen[bytes]:
    """Start the worker in its sandbox, and in control groups of its own where root can make them."""
    group = GroupLimits(processes=limits.processes, memory_mib=limits.memory_mib)
    files = [] if os.getuid() else create_groups(folder.id, group)
    limits = replace(limits, grouped=limits.grouped or bool(files))
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        for file in files:
            file.write_text(str(os.getpid()))

    user = choose_user()
    write_accounts(folder.scratch, user)
    seccomp = _open_pipe(build_filter() or b"")
    options = _open_pipe("\0".join(make_options(folder, limits, seccomp)).encode())
    try:
        return subprocess.Popen(
            make_command(limits, options, user, worker),
            env=make_environment(json.loads(folder.environment.read_bytes())),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[seccomp, options],
            preexec_fn=prepare,  # noqa: PLW1509  # there is one thread
        )
    finally:
        os.close(seccomp)
        os.close(options)


def _open_pipe(data: bytes) -> int:
    """Return a descriptor from which bubblewrap reads the data."""
    read, write = os.pipe()
    os.write(write, data)  # a pipe holds 64 KiB
    os.close(write)
    return read


def _fail(message: str, code: ExitCode) -> ExitCode:
    """Print why the job ended, as the worker does: the supervisor reads the last line."""
    sys.stdout.write(f"openjd_fail: {message}\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
