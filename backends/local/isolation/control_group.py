"""Control groups that limit the processes and the memory of one job. Only root can make them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MIB = 2**20
_ROOT = Path("/sys/fs/cgroup")
_PROCESSES = "cgroup.procs"


@dataclass(frozen=True, kw_only=True)
class GroupLimits:
    """Limits of a job: ``processes`` with their threads, ``memory_mib`` with the files in its tmpfs."""

    processes: int
    memory_mib: int


def find_groups(name: str) -> list[Path]:
    """Return the folders of the job's control groups, as this system mounts them; none exists yet."""
    if (_ROOT / "cgroup.controllers").exists():  # version 2
        return [_ROOT / f"renderer-{name}"]
    return [_ROOT / controller / f"renderer-{name}" for controller in ("pids", "memory")]


def find_memory_events(name: str) -> Path | None:
    """Return the file in which the kernel counts processes of the job that it killed because memory ran out.

    That is of the job's own group, or, for a user whose systemd has put this process into a group, of that one.
    """
    groups = find_groups(name)
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), "/")
    candidates = [groups[-1] / "memory.events", groups[-1] / "memory.oom_control"]
    if own.endswith(".scope"):
        candidates.append(_ROOT / own.strip("/") / "memory.events")
    return next((path for path in candidates if path.exists()), None)


def create_groups(name: str, limits: GroupLimits) -> list[Path]:
    """Return the files to which a process writes its id to join. Empty where the system allows no such groups."""
    groups = find_groups(name)
    try:
        if len(groups) == 1:
            (_ROOT / "cgroup.subtree_control").write_text("+memory +pids")
        for group in groups:
            group.mkdir()
        _write_limits(groups, limits)
    except OSError:
        remove_groups(name)
        return []
    return [group / _PROCESSES for group in groups]


def remove_groups(name: str) -> None:
    """Remove the control groups of a job whose processes have all ended."""
    for group in find_groups(name):
        with suppress(OSError):
            group.rmdir()


def _write_limits(groups: list[Path], limits: GroupLimits) -> None:
    size = str(limits.memory_mib * _MIB)
    (groups[0] / "pids.max").write_text(str(limits.processes))
    if len(groups) == 1:
        (groups[0] / "memory.max").write_text(size)
        swap = groups[0] / "memory.swap.max", "0"
    else:
        (groups[1] / "memory.limit_in_bytes").write_text(size)
        swap = groups[1] / "memory.memsw.limit_in_bytes", size
    if swap[0].exists():  # not where the kernel does not count swap
        swap[0].write_text(swap[1])
