"""The cores and the memory that this process may use. Container limits (cgroups version 1 and 2) are respected."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

COMMON_KERNEL = "Haswell"  # of OpenBLAS: the newest that the processors of data centres have in common
_CGROUP = Path("/sys/fs/cgroup")
_PROCESS_BYTES = 100 * 2**20  # the memory that a chunk renderer does not share with its parent
_BYTES_PER_PIXEL = 4 * 4 + 60 * 1.5  # four RGBA arrays, and the 60 yuv420p frames that x264 holds


def count_usable_cores() -> int:
    """Return the number of cores that this process may use, from its affinity mask and CPU quotas; at least one."""
    quotas = [*map(_quota_v2, _cgroups("cpu")), *map(_quota_v1, _cgroups("cpu"))]
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    cores = [allowed, *(math.ceil(quota) for quota in quotas if quota)]
    return max(1, min(cores))


def count_chunk_renderers_that_fit(width: int, height: int) -> int:
    """Return how many chunk renderers the free memory is enough for, with frames of this size; at least one."""
    return max(1, int(measure_free_memory() // (_PROCESS_BYTES + width * height * _BYTES_PER_PIXEL)))


def measure_free_memory() -> float:
    """Return the bytes that this process may still allocate, within the machine's memory and the cgroups' limits."""
    names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    left = [_free_in_cgroup(group, *pair) for group in _cgroups("memory") for pair in names]
    return min([float(_meminfo()["MemAvailable"]) * 1024, *(free for free in left if free is not None)])


def has_memory_limit() -> bool:
    """Return whether a cgroup limits this process's memory to less than the machine has."""
    files = [group / name for group in _cgroups("memory") for name in ("memory.max", "memory.limit_in_bytes")]
    limits = [int(text) for text in map(_read, files) if text and text.isdigit()]
    return min(limits, default=sys.maxsize) < int(_meminfo()["MemTotal"]) * 1024


def has_avx2() -> bool:
    """Return whether the processor has AVX2 and FMA."""
    try:
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    except OSError:
        return False
    return {"avx2", "fma"} <= set(flags)


def pin_blas_kernel() -> None:
    """Make OpenBLAS use a kernel that most machines have. Call it before numpy is imported.

    By itself it chooses one by the processor, and the last bits of products of matrices differ between kernels.
    """
    if has_avx2():
        os.environ.setdefault("OPENBLAS_CORETYPE", COMMON_KERNEL)


def has_avx512() -> bool:
    """Return whether the processor has AVX-512; False if that is not known."""
    try:
        return " avx512f " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _free_in_cgroup(group: Path, limit: str, used: str) -> float | None:
    """Return the bytes that are free below a cgroup's limit; None if it has no limit."""
    texts = _read(group / limit), _read(group / used)
    if not all(text and text.isdigit() for text in texts):
        return None
    return int(texts[0] or 0) - int(texts[1] or 0) + _reclaimable(group)


def _reclaimable(group: Path) -> int:
    """Return the bytes of page cache that count as used, but that the kernel frees when memory is needed."""
    text = _read(group / "memory.stat") or ""
    counts = dict(line.split(" ", 1) for line in text.splitlines())
    return int(counts.get("total_inactive_file") or counts.get("inactive_file") or 0)


def _meminfo() -> dict[str, str]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {key: rest.split()[0] for key, _, rest in (line.partition(":") for line in lines)}


def _cgroups(controller: str) -> Iterator[Path]:
    """Yield the folder of this process's cgroup and of each parent cgroup: all their limits apply (cgroups(7))."""
    for line in (_read(Path("/proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):  # version 2, or this controller of version 1
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
