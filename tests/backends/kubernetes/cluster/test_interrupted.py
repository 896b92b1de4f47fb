"""Commands that are interrupted or killed: they end at once, the job goes on, and nothing is left behind."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.commands import BIN, environment
from support.processes import until
from support.rigs.kubernetes import Run, kubectl, list_objects, write_kubeconfig

from backends import JobState

SILENT = "import time\nprint('begun', flush=True)\ntime.sleep(3600)\n"


@contextmanager
def running(*words: str, env: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (cwd / "out").open("wb") as out:
        process = subprocess.Popen([BIN / "renderer", *words], env=env, cwd=cwd, stdout=out, stderr=out)
        yield process
        process.wait(25)  # less than the read timeout


def said(folder: Path) -> str:
    return (folder / "out").read_text()


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a user whose folder for temporary files is empty."""
    (tmp_path / "temporary").mkdir()
    return environment(tmp_path / "home", TMPDIR=str(tmp_path / "temporary"))


@pytest.mark.parametrize("verb", [["wait"], ["logs", "--follow"]])
def test_ctrl_c_stops_watching_at_once_and_the_job_goes_on(
    verb: list[str], run: Run, user: dict[str, str], tmp_path: Path
) -> None:
    job = run(SILENT + f"# {verb}")
    until(lambda: any(line.text == "begun" for line in job.logs()))
    with running(*verb, str(job.handle), env=user, cwd=tmp_path) as process:
        until(lambda: said(tmp_path) != "")
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert "Traceback" not in said(tmp_path)
    assert job.status().state is JobState.RUNNING
    job.delete()


@pytest.mark.parametrize("verb", [["submit", "job.py", "--image", "x"], ["list"], ["status", "k8s://one/video/x"]])
def test_ctrl_c_ends_a_command_whose_api_server_says_nothing(
    verb: list[str], user: dict[str, str], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "job.py").write_text("print(1)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(300)
        config = write_kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.getsockname()[1]}")
        env = {**user, "KUBECONFIG": str(config), "RENDERER_BACKEND": "k8s"}
        with running(*verb, env=env, cwd=project) as process:
            connection, _ = server.accept()
            connection.recv(1)
            until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
            process.send_signal(signal.SIGINT)  # Python would miss it in the moment before the process sleeps
        connection.close()
    assert process.returncode == 130
    assert [line for line in said(project).splitlines() if not line.endswith(" of ./")] == []


def test_a_command_that_is_killed_leaves_no_key_behind(run: Run, user: dict[str, str], tmp_path: Path) -> None:
    """OpenSSL reads the client key of the kubeconfig from a temporary file."""
    (tmp_path / "kubeconfig").write_text(kubectl("config", "view", "--raw", "--flatten", "--minify"))
    user["KUBECONFIG"] = str(tmp_path / "kubeconfig")
    job = run(SILENT + "# killed")
    with running("wait", str(job.handle), env=user, cwd=tmp_path) as process:
        until(lambda: said(tmp_path) != "")
        process.kill()
    assert list((tmp_path / "temporary").iterdir()) == []
    job.delete()


def test_a_fetch_that_is_killed_leaves_no_pod_once_the_job_is_deleted(
    run: Run, namespace: str, claim: tuple[str, Path], user: dict[str, str], tmp_path: Path
) -> None:
    before = list_objects(namespace)
    job = run("print('killed')", store=f"pvc://{claim[0]}", gpu="none")
    assert job.wait(600).state is JobState.SUCCEEDED
    helpers = ("-n", namespace, "-l", "app.kubernetes.io/component=files", "-o", "name")
    kubectl("taint", "nodes", "--all", "closed=yes:NoSchedule")  # so that the pod waits while the client is killed
    try:
        with running("fetch", str(job.handle), env=user, cwd=tmp_path) as process:
            until(lambda: kubectl("get", "pods", *helpers) != "")
            process.kill()
        assert kubectl("get", "pods", *helpers) != ""
    finally:
        kubectl("taint", "nodes", "--all", "closed:NoSchedule-")
    job.delete()
    assert list_objects(namespace) == before
