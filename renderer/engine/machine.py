"""What this process may use of the machine: cores and memory, container limits honoured."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Count the cores: the affinity mask, cut by the cgroup's quota (v2 or v1), at least one."""
    cores = len(os.sched_getaffinity(0))
    quota = _quota_v2() or _quota_v1()
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def has_avx512() -> bool:
    """Tell whether the processor has AVX-512; False where the system does not tell."""
    try:
        return " avx512f " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _quota_v2() -> float | None:
    text = _read("cpu.max")
    if text is None or text.startswith("max"):
        return None
    limit, period = text.split()
    return int(limit) / int(period)


def _quota_v1() -> float | None:
    limit, period = _read("cpu/cpu.cfs_quota_us"), _read("cpu/cpu.cfs_period_us")
    if limit is None or period is None or int(limit) <= 0:
        return None
    return int(limit) / int(period)


def _read(name: str) -> str | None:
    try:
        return (_CGROUP / name).read_text().strip()
    except OSError:
        return None
