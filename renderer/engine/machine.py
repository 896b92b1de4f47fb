"""What this process may use of the machine: cores and memory, container limits honoured."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_PROCESS_BYTES = 100 * 2**20  # what a painter changes of the memory that it shares with its parent
_PICTURE_BYTES = 4 * 4 + 60 * 1.5  # a pixel: four RGBA arrays, and the pictures that x264 looks ahead and back to


def usable_cores() -> int:
    """Count the cores: the affinity mask, cut by the cgroup's quota (v2 or v1), at least one."""
    cores = len(os.sched_getaffinity(0))
    quota = _quota_v2() or _quota_v1()
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def painters_that_fit(width: int, height: int) -> int:
    """Count the painters of such frames for which there is memory now, at least one."""
    return max(1, int(free_memory() // (_PROCESS_BYTES + width * height * _PICTURE_BYTES)))


def free_memory() -> float:
    """Give the bytes that may still be taken: the machine's, cut by the cgroup's limit (v2 or v1)."""
    available = float(_meminfo()["MemAvailable"]) * 1024
    limits = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
    for limit, used in limits:
        texts = _read(limit), _read(used)
        if all(text and text.isdigit() for text in texts):
            available = min(available, int(texts[0] or 0) - int(texts[1] or 0) + _reclaimable(limit))
    return available


def _reclaimable(limit: str) -> int:
    """Give the bytes of the page cache that the cgroup's use counts, and that give way."""
    text = _read(str(Path(limit).with_name("memory.stat"))) or ""
    counts = dict(line.split(" ", 1) for line in text.splitlines())
    return int(counts.get("total_inactive_file") or counts.get("inactive_file") or 0)


def _meminfo() -> dict[str, str]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {key: rest.split()[0] for key, _, rest in (line.partition(":") for line in lines)}


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
