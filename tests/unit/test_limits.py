"""The limits of real cgroups limit the number of chunk renderers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path("/sys/fs/cgroup")
VERSION_2 = (TOP / "cgroup.controllers").exists()
MIB = 2**20
COUNT = """
from renderer.engine.process.slots import ProcessSlots
from renderer.system.limits import count_chunk_renderers_that_fit
print(ProcessSlots().n, count_chunk_renderers_that_fit(1920, 1080))
"""


@pytest.fixture
def group() -> Iterator[dict[str, Path]]:
    """Make a cgroup in a cgroup; gives the outer folder of each controller."""
    tops = {name: TOP if VERSION_2 else TOP / name for name in ("cpu", "memory")}
    folders = {name: top / f"renderer-test-{os.getpid()}" for name, top in tops.items()}
    try:
        if VERSION_2:
            (TOP / "cgroup.subtree_control").write_text("+cpu +memory")
        for folder in folders.values():
            (folder / "inner").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        pytest.skip(f"cgroups cannot be made here: {error.strerror}")
    yield folders
    for folder in set(folders.values()):
        (folder / "inner").rmdir()
        folder.rmdir()


def count(folders: dict[str, Path]) -> tuple[int, int]:
    """Return the chunk renderers that the cores allow, and those that the memory allows, inside the inner cgroups."""
    enter = "".join(f'echo $$ > "{folder}/inner/cgroup.procs"; ' for folder in folders.values())
    done = subprocess.run(
        ["sh", "-ec", f'{enter} exec "$@"', "sh", sys.executable, "-c", COUNT],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    cores, fitting = done.stdout.split()
    return int(cores), int(fitting)


def test_a_quota_limits_the_chunk_renderers(group: dict[str, Path]) -> None:
    if VERSION_2:
        (group["cpu"] / "cpu.max").write_text("100000 100000")
    else:
        (group["cpu"] / "cpu.cfs_quota_us").write_text("100000")
    assert count(group)[0] == 1


def test_a_memory_limit_limits_the_chunk_renderers(group: dict[str, Path]) -> None:
    counts = []
    for limit in (600, 1200):
        name = "memory.max" if VERSION_2 else "memory.limit_in_bytes"
        (group["memory"] / name).write_text(str(limit * MIB))
        counts.append(count(group)[1])
    few, more = counts
    assert 1 <= few < more <= 4


def test_the_affinity_limits_the_chunk_renderers() -> None:
    allowed = min(os.sched_getaffinity(0))
    command = ["taskset", "--cpu-list", str(allowed), sys.executable, "-c", COUNT]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split()[0] == "1"
