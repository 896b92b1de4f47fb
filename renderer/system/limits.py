"""What this process may use of the machine: cores and memory, container limits honoured."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_PROCESS_BYTES = 100 * 2**20  # what a painter changes of the memory that it shares with its parent
_PICTURE_BYTES = 4 * 4 + 60 * 1.5  # a pixel: four RGBA arrays, and the pictures that x264 looks ahead and back to


def usable_cores() -> int:
    """Count the cores: the affinity mask, cut by the cgroups' quotas (v2 or v1), at least one."""
    quotas = [*map(_quota_v2, _cgroups("cpu")), *map(_quota_v1, _cgroups("cpu"))]
    cores = [len(os.sched_getaffinity(0)), *(math.ceil(quota) for quota in quotas if quota)]
    return max(1, min(cores))


def painters_that_fit(width: int, height: int) -> int:
    """Count the painters of such frames for which there is memory now, at least one."""
    return max(1, int(free_memory() // (_PROCESS_BYTES + width * height * _PICTURE_BYTES)))


def free_memory() -> float:
    """Give the bytes that may still be taken: the machine's, cut by the cgroups' limits (v2 or v1)."""
    names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    left = [_left(group, *pair) for group in _cgroups("memory") for pair in names]
    return min([float(_meminfo()["MemAvailable"]) * 1024, *(free for free in left if free is not None)])


def _left(group: Path, limit: str, used: str) -> float | None:
    texts = _read(group / limit), _read(group / used)
    if not all(text and text.isdigit() for text in texts):
        return None
    return int(texts[0] or 0) - int(texts[1] or 0) + _reclaimable(group)


def _reclaimable(group: Path) -> int:
    """Give the bytes of the page cache that the cgroup's use counts, and that give way."""
    text = _read(group / "memory.stat") or ""
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


def _cgroups(controller: str) -> Iterator[Path]:
    """Give the folders of this process's cgroup and of those above it, whose limits hold too; see cgroups(7)."""
    for line in (_read(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):  # version 2, or this controller's of version 1
            top = _CGROUP / controller if controllers else _CGROUP
            own = top / path.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(top))


def _quota_v2(group: Path) -> float | None:
    text = _read(group / "cpu.max")
    if text is None or text.startswith("max"):
        return None
    limit, period = text.split()
    return int(limit) / int(period)


def _quota_v1(group: Path) -> float | None:
    limit, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    if limit is None or period is None or int(limit) <= 0:
        return None
    return int(limit) / int(period)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
