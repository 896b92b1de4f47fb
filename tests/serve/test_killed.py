"""A server that is killed at each step of a submit, and started again: no job is lost, and none is made twice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from support.commands import renderer
from support.http_server import Server, serving
from support.processes import until
from support.rigs.kubernetes import get, kubectl, make_bucket_settings

from backends.kubernetes.names import inputs_name
from backends.local.job_store import INCOMPLETE_S
from backends.storage import Storage

KILL_AT = Path(__file__).parents[1] / "support" / "kill_at"


def submit_and_kill(server: Server, token: str, code: str, kind: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Submit a job, and let the server be killed at the first of its steps of this kind, another at its second, …

    Send each request again to the next server. Yield the second answers, until no step is left, and then that answer.
    """
    armed = Path(server.env["KILL_AT"])
    for step in range(1, 100):
        armed.write_text(f"{server.pid} {kind} {step}")
        try:
            answer = server.submit(code, token=token, key=f"step-{step}", arguments=[str(step)])
        except requests.ConnectionError:
            server.wait_killed()
            armed.unlink()
            server.start()
            answer = server.submit(code, token=token, key=f"step-{step}", arguments=[str(step)])
            assert answer.status_code in {200, 201}, answer.text
            yield answer.status_code, answer.json()
        else:
            armed.unlink()
            assert answer.status_code == 201, answer.text
            yield answer.status_code, answer.json()
            return


def test_submit_to_this_machine_that_is_killed_at_each_step(tmp_path: Path) -> None:
    home, ran = tmp_path / "home", tmp_path / "ran"
    home.mkdir()
    server = Server(home, PYTHONPATH=str(KILL_AT), KILL_AT=str(tmp_path / "armed"))
    alice, bob = server.token("--name", "alice", "--trusted", "--jobs", "100"), server.token("--name", "bob")
    code = f"import sys\nwith open({str(ran)!r}, 'a') as file:\n    print(sys.argv[1], file=file)\nsys.exit(3)\n"
    server.start()
    try:
        found = list(submit_and_kill(server, alice, code, "disk"))
        assert {status for status, _ in found} == {200, 201}
        jobs = {job["id"]: job for _, job in found}
        assert len(jobs) == len(found) > 5
        listed = server.call("GET", "/api/v1/jobs?limit=500", token=alice).json()["jobs"]
        assert sorted(job["id"] for job in listed) == sorted(jobs)
        assert server.call("GET", "/api/v1/jobs", token=bob).json()["jobs"] == []
        assert {server.wait(key, token=alice)["exit_code"] for key in jobs} == {10}  # each has run to its own end
        assert sorted(map(int, ran.read_text().split())) == list(range(1, len(jobs) + 1))

        # a job that was found again has all that a retry needs
        recovered = [job["id"] for status, job in found if status == 200]
        retried = [server.call("POST", f"/api/v1/jobs/{key}/retry", token=alice) for key in recovered]
        assert {answer.status_code for answer in retried} == {201}, [answer.text for answer in retried]
        jobs |= {answer.json()["id"]: answer.json() for answer in retried}

        # nothing half-made is left: at once in the server's folder, and after an hour in that of the jobs
        state = home / "state/manim-renderer"
        assert sorted(path.name for path in (state / "serve").iterdir()) == sorted([*jobs, "lock"])
        assert not list((state / "serve").rglob("*.tmp"))
        (state / "jobs" / "job-0123456789-abcdef").mkdir()  # as if it had been killed between two calls
        old = time.time() - 2 * INCOMPLETE_S
        for path in (state / "jobs").iterdir():
            if not (path / "job.json").exists():
                os.utime(path, (old, old))
        assert renderer("gc", "--backend", "local", cwd=home, env=server.env).returncode == 0
        handles = {job["handle"].removeprefix("local://") for job in jobs.values()}
        assert {path.name for path in (state / "jobs").iterdir()} == handles
    finally:
        server.end(kill=True)


def test_submit_to_a_cluster_that_is_killed_at_each_step(namespace: str, cluster: str, s3: str, tmp_path: Path) -> None:
    settings = make_bucket_settings(namespace, cluster, s3)
    home = tmp_path / "home"
    home.mkdir()
    server = Server(home, PYTHONPATH=str(KILL_AT), KILL_AT=str(tmp_path / "armed"), **settings)
    alice, bob = server.token("--name", "alice", "--trusted", "--jobs", "100"), server.token("--name", "bob")
    server.start()
    try:
        before = {job["metadata"]["name"] for job in get("jobs", "-n", namespace)["items"]}
        code = (
            "import os, pathlib, sys\nprint('ran', sys.argv[1])\n"
            "pathlib.Path(os.environ['RENDERER_OUTPUT_DIR'], 'out.txt').write_text(sys.argv[1])\n"
        )
        found = list(submit_and_kill(server, alice, code, "http"))
        jobs = {job["id"]: job for _, job in found}
        assert len(jobs) == len(found) > 2
        assert {status for status, _ in found} == {200, 201}
        listed = server.call("GET", "/api/v1/jobs?limit=500", token=alice).json()["jobs"]
        assert sorted(job["id"] for job in listed) == sorted(jobs)
        assert server.call("GET", "/api/v1/jobs", token=bob).json()["jobs"] == []
        handles = {job["handle"].rpartition("/")[2] for job in jobs.values()}
        assert {job["metadata"]["name"] for job in get("jobs", "-n", namespace)["items"]} - before == handles
        inputs = {item["metadata"]["name"] for item in get("configmaps", "-n", namespace)["items"]}
        assert {inputs_name(handle, 0) for handle in handles} <= inputs
        for step, key in enumerate(jobs, 1):
            assert server.wait(key, token=alice)["state"] == "succeeded"
            assert server.call("GET", f"/api/v1/jobs/{key}/logs", token=alice).text == f"ran {step}\n"

        # another server, which has never seen them, knows them from the store after the cluster has deleted them
        kubectl("delete", "jobs", "-n", namespace, *handles)
        tokens = str(home / "state/manim-renderer/serve-tokens")
        with serving(tmp_path / "other", RENDERER_SERVE_TOKENS=tokens, **settings) as other:
            (first, *_, last) = jobs
            assert other.call("GET", f"/api/v1/jobs/{first}", token=bob).status_code == 404
            assert other.call("GET", f"/api/v1/jobs/{first}", token=alice).json()["state"] == "succeeded"
            assert other.call("GET", f"/api/v1/jobs/{first}/logs", token=alice).text == "ran 1\n"
            made = other.call("GET", f"/api/v1/jobs/{first}/outputs", token=alice).json()["outputs"]
            assert other.call("GET", made[0]["url"], token=alice).text == "1"
            listed = other.call("GET", "/api/v1/jobs?limit=500", token=alice).json()["jobs"]
            assert {job["id"]: job["state"] for job in listed} == dict.fromkeys(jobs, "succeeded")
            assert other.call("GET", "/api/v1/jobs", token=bob).json()["jobs"] == []
            again = other.submit(code, token=alice, key="step-1", arguments=["1"])
            assert (again.status_code, again.json()["id"]) == (200, first), again.text

            # a record that was not signed by a server is none
            archive = Storage(f"{s3}/served")
            (path,) = [path for path in archive.list() if path.endswith(f"/{last}")]
            mine = archive.get_bytes(path, most=2**20)
            archive.put_bytes(f"{bob.split('_')[1]}/{last}", mine)
            assert other.call("GET", f"/api/v1/jobs/{last}", token=bob).status_code == 404
            assert other.call("DELETE", f"/api/v1/jobs/{first}", token=alice).status_code == 204
            for either in (other, server):  # which may still show what it has just read
                until(lambda one=either: one.call("GET", f"/api/v1/jobs/{first}", token=alice).status_code == 404)  # type: ignore[misc]
    finally:
        server.end(kill=True)
