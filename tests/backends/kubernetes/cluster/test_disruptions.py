"""Disruptions of pods, nodes and the API server: the job goes on, and no line or byte is lost."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import until
from support.rigs.kubernetes import Parts, Run, kubectl
from support.rigs.kubernetes_jobs import (
    HELD,
    SLOW,
    SLOW_LINES,
    assert_success,
    describe_pods,
    find_pod,
    let_next_go_on,
    wait_until_begun,
    write_noise,
)

from backends import JobState, JobStatus

# Python's ssl module does not close a socket that a killed server resets before the handshake.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
REJECTED = 2  # retries: a kubelet that has just started rejects pods while it does not know its GPUs yet


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """Collect such sockets where the warning is ignored, and not in a later test."""
    yield
    gc.collect()


def test_eviction_is_no_failure_of_the_render(run: Run, namespace: str, tmp_path: Path) -> None:
    job = run(HELD + "# evicted\n")
    wait_until_begun(job)
    first = find_pod(job)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first, "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{first}/eviction"
    kubectl("create", "--raw", path, "-f", "-", content=json.dumps(eviction))
    let_next_go_on(job, first)
    assert_success(job, tmp_path / "out")


def test_a_deleted_pod_is_tried_again(run: Run, namespace: str, tmp_path: Path) -> None:
    job = run(HELD + "# deleted\n", retries=1)
    wait_until_begun(job)
    first = find_pod(job)
    kubectl("delete", "pod", first, "-n", namespace, "--wait=false")
    let_next_go_on(job, first)
    assert assert_success(job, tmp_path / "out").units[0].attempt == 2


def test_a_killed_process_is_tried_again(run: Run, namespace: str, tmp_path: Path) -> None:
    job = run(HELD + "# killed\n", retries=1)
    wait_until_begun(job)
    first = find_pod(job)
    kill = (
        "import os, pathlib\n"
        "for p in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    if b'(\\'renderer.worker' in p.read_bytes() and int(p.parent.name) != os.getpid():\n"
        "        os.kill(int(p.parent.name), 9)\n"
    )
    kubectl("exec", "-n", namespace, first, "--", "python", "-c", kill, check=False)  # the container may end before it
    let_next_go_on(job, first)
    assert assert_success(job, tmp_path / "out").units[0].attempt == 2


def test_a_kubelet_that_restarts_disturbs_nothing(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(SLOW + "# kubelet\n", retries=REJECTED)
    wait_until_begun(job)
    parts("kill", "kubelet")
    parts("start", "kubelet")
    assert_success(job, tmp_path / "out")


def away(parts: Parts, seconds: float = 5.0) -> threading.Timer:
    """Take the API server away for a while."""

    def back() -> None:
        parts("start", "kube-apiserver")
        until(lambda: kubectl("get", "--raw", "/readyz", check=False) == "ok")
        for name in ("kube-controller-manager", "kube-scheduler"):  # they would pause for half a minute otherwise
            parts("kill", name)
            parts("start", name)

    parts("kill", "kube-apiserver")
    timer = threading.Timer(seconds, back)
    timer.start()
    return timer


def test_the_api_server_is_away_during_submit(run: Run, parts: Parts, tmp_path: Path) -> None:
    timer = away(parts)
    job = run(SLOW + "# submitted to nobody\n", retries=REJECTED)
    timer.join()
    assert_success(job, tmp_path / "out")


def test_the_api_server_is_away_while_the_log_is_followed(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(SLOW + "# followed\n", retries=REJECTED)
    wait_until_begun(job)
    lines = job.logs(follow=True)
    seen = [next(lines).text]
    timer = away(parts)
    seen += [line.text for line in lines]
    timer.join()
    assert seen == SLOW_LINES
    assert_success(job, tmp_path / "out")


def test_the_api_server_is_away_during_wait_and_fetch(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(SLOW + "# waited for\n", retries=REJECTED)
    wait_until_begun(job)
    timer = away(parts)
    assert_success(job, tmp_path / "out")
    timer.join()
    timer = away(parts)
    assert [file.name for file in job.fetch(tmp_path / "again")] == ["out.txt"]
    timer.join()


def test_a_collector_that_is_cut_off_goes_on_where_it_stopped(run: Run, parts: Parts, tmp_path: Path) -> None:
    job = run(write_noise(27), retries=REJECTED)
    statuses: list[JobStatus] = []
    waiter = threading.Thread(target=lambda: statuses.append(job.wait(1200)))
    waiter.start()
    state = Path(os.environ["XDG_STATE_HOME"])

    def started() -> bool:
        assert not statuses, statuses
        return any(path.stat().st_size > 2**20 for path in state.rglob("*.stream"))

    until(started, within=900, describe=lambda: f"{statuses or job.status()}\n{describe_pods(job)}")
    timer = away(parts, 3)
    waiter.join()
    timer.join()
    assert statuses[0].state is JobState.SUCCEEDED, statuses
    (file,) = job.fetch(tmp_path / "out")
    assert file.stat().st_size == 2**27
