"""Each backend in each mode that it has here, and what hostile jobs look for on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.attacks import Case, Host, shared_memory
from support.processes import until
from support.rigs import RIGS
from support.rigs.kubernetes_untrusted import untrusted_kubernetes
from support.untrusted import services

from renderer.api import Job

MARKERS = {"docker": pytest.mark.containers, "k8s": pytest.mark.cluster, "modal": pytest.mark.modal}
CASES = [(name, untrusted) for name in ("local", "docker", "modal", "k8s") for untrusted in (False, True)]
BESIDE = "import time\nprint('beside', flush=True)\ntime.sleep(7200)\n"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(case, marks=MARKERS.get(case[0], ()), id=f"{case[0]}-{'untrusted' if case[1] else 'plain'}")
        for case in CASES
    ],
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    name, untrusted = request.param
    options: dict[str, Any] = {"memory": "1Gi"} if untrusted and name != "k8s" else {}  # its rig has its own
    if (name, untrusted) == ("docker", True):
        options["docker.options"] = ""  # an untrusted job must not have any
    start = untrusted_kubernetes if request.param == ("k8s", True) else RIGS[name]
    with start(tmp_path_factory.mktemp(name)) as rig:
        yield Case(rig, untrusted, options)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    home = tmp_path_factory.mktemp("home")
    word, key = f"a-word-of-the-host-{os.getpid()}", os.getpid()
    (home / "secret.txt").write_text(word)
    shm = Path("/dev/shm") / f"renderer-canary-{os.getpid()}"  # noqa: S108
    shm.write_text(word)
    with (
        services(home) as found,
        subprocess.Popen(["sleep", "3600"]) as process,
        shared_memory(key) as shared,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("HOST_WORD", word)
        try:
            yield Host(home, found, process, shared, word, key, shm)
        finally:
            process.kill()
            shm.unlink()


@pytest.fixture
def beside(case: Case, tmp_path: Path) -> Iterator[Job]:
    """Another job of the same user on the same backend, which runs all the time."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "beside.py").write_text(BESIDE)
    job = case.rig.submit(tmp_path / "beside" / "beside.py")
    until(lambda: [line.text for line in job.logs()] == ["beside"])
    yield job
    assert job.status().state.value == "running", job.status()
    assert [line.text for line in job.logs()] == ["beside"]
    job.delete()
