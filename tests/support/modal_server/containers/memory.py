"""Limits a container's memory by a cgroup of its own (version 1 or 2). Only root can make one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
UNIFIED = (ROOT / "cgroup.controllers").exists()
PARENT = ROOT if UNIFIED else ROOT / "memory"


def is_available() -> bool:
    """Return whether limits can be set on this machine."""
    return os.access(PARENT, os.W_OK) and (not UNIFIED or "memory" in (ROOT / "cgroup.subtree_control").read_text())


def create_group(task_id: str, mib: int) -> Path:
    """Create the cgroup of a container; return its folder."""
    group = _group(task_id)
    group.mkdir()
    (group / ("memory.max" if UNIFIED else "memory.limit_in_bytes")).write_text(str(mib * 2**20))
    with suppress(OSError):  # a kernel without swap has no such file
        (group / ("memory.swap.max" if UNIFIED else "memory.memsw.limit_in_bytes")).write_text(
            "0" if UNIFIED else str(mib * 2**20)
        )
    return group


def remove_group(task_id: str) -> None:
    """Remove the cgroup, if there is one."""
    with suppress(OSError):
        _group(task_id).rmdir()


def _group(task_id: str) -> Path:
    return PARENT / f"fake-modal-{os.getpid()}-{task_id}"
