"""Out of memory is reported as such, whether Modal or the kernel notices it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from modal_proto import api_pb2 as pb
from support.modal_server import FakeModal
from support.modal_server.containers import memory
from support.processes import until
from support.rigs.base import Rig

from backends import JobState
from backends.exit_codes import ExitCode

Script = Callable[[str], Path]
EATS = "data = []\nwhile True: data.append(bytes(range(256)) * 40_000)\n"
RESULT = pb.GenericResult


@pytest.mark.skipif(not memory.is_available(), reason="a real limit needs root and a memory cgroup")
def test_a_script_that_the_kernel_ends_for_memory_is_told_with_what_to_raise(
    rig: Rig, fake: FakeModal, script: Script
) -> None:
    with fake.faults(memory_mib=300):
        job = rig.submit(script(EATS), memory="12Gi")
        status = job.wait(600)
    (unit,) = status.units
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY), unit
    assert unit.message == "job.py ran out of memory: the kernel ended it (12 GiB were requested)"
    assert "--memory" in (unit.hint or "")
    until(lambda: not list(memory.PARENT.glob("fake-modal-*")))


@pytest.mark.skipif(not memory.is_available(), reason="a real limit needs root and a memory cgroup")
def test_a_worker_that_the_kernel_ends_for_memory_is_told_too(rig: Rig, fake: FakeModal, script: Script) -> None:
    path = script(
        "import os, signal\nwith open(f'/proc/{os.getppid()}/oom_score_adj', 'w') as f: f.write('1000')\n"
        "pid = os.getppid()\n" + EATS.replace("append(", "append(os.kill(pid, 0) or ")
    )
    with fake.faults(memory_mib=300):
        status = rig.submit(path).wait(600)
    assert status.exit_code == ExitCode.OUT_OF_MEMORY, status
    assert "the memory ran out" in (status.units[0].message or "")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (RESULT.GENERIC_STATUS_KERNEL_OOM_KILL, "A process in the container was OOM-killed"),
        (RESULT.GENERIC_STATUS_MEMORY_THRASHING_EVICTION, "The container thrashed at its memory limit"),
        (RESULT.GENERIC_STATUS_MEMORY_MANAGER_EVICTION, "Evicted while the worker was under memory pressure"),
        (RESULT.GENERIC_STATUS_FAILURE, "Runner failed with exit code: 137"),
        (RESULT.GENERIC_STATUS_INTERNAL_FAILURE, "Runner failed with exit code: -9"),
    ],
)
def test_a_container_that_modal_ended_for_memory(
    rig: Rig, fake: FakeModal, script: Script, code: pb.GenericResult.GenericStatus.ValueType, said: str
) -> None:
    job = rig.submit(script("import time\nprint('openjd_progress: 10', flush=True)\ntime.sleep(600)\n"))
    until(lambda: job.status().units[0].progress == 10)
    fake.lose(job.handle.parts[1], pb.GenericResult(status=code, exception=said))
    status = job.wait(600)
    assert (status.state, status.exit_code) == (JobState.FAILED, ExitCode.OUT_OF_MEMORY)
    assert status.units[0].message == f"it ran out of memory at Modal (8 GiB were requested): {said}"
    assert "--memory" in (status.units[0].hint or "")
