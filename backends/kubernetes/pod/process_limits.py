"""Limits on each process of an untrusted job: a pod's manifest cannot set them, as options of docker do."""

from __future__ import annotations

import resource

from backends.untrusted import OPEN_FILES


def limit_processes(scratch_mib: int) -> None:
    """Limit this process and all that it starts: open files, no core dumps, no file larger than the scratch disk."""
    wanted = {
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: scratch_mib * 2**20,
    }
    for kind, limit in wanted.items():
        _, highest = resource.getrlimit(kind)
        value = limit if highest == resource.RLIM_INFINITY else min(limit, highest)
        resource.setrlimit(kind, (value, value))
