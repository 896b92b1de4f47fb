"""Untrusted jobs on Kubernetes: servers with the rights of `setup k8s --serve --untrusted` keep their outputs."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from support.commands import environment, renderer
from support.http_server import Server
from support.rigs.kubernetes import copy_kubeconfig, kubectl

from backends.errors import SpecError
from backends.storage import Storage
from renderer import config
from renderer.serve import replicas

STORE = "s3://renders/some where/served"
SCENE = """\
import os
from manim import *

class Moves(Scene):
    def construct(self):
        print("keys", [key for key in os.environ if key.startswith("AWS")], "store", os.path.exists("/store"))
        self.play(Create(Circle()), run_time=0.5)
"""
WRITES = """\
import os, pathlib, sys
pathlib.Path(os.environ["RENDERER_OUTPUT_DIR"], "zeros").write_bytes(bytes(5 * 2**20))
"""


@contextmanager
def killer(server: str, victim: Server) -> Iterator[str]:
    """Run a proxy of an S3 server that kills ``victim`` when a stream is stored, before it can know that."""
    target = urlsplit(server)

    def connect(client: socket.socket) -> None:
        with (
            closing(client),
            suppress(OSError),
            closing(socket.create_connection((target.hostname or "", target.port or 80))) as upstream,
        ):
            is_put = threading.Event()

            def answer() -> None:
                with suppress(OSError):
                    while data := upstream.recv(16384):
                        if is_put.is_set() and b" 200 " in data:
                            os.kill(victim.pid, signal.SIGKILL)
                            return
                        client.sendall(data)

            threading.Thread(target=answer, daemon=True).start()
            while data := client.recv(16384):
                if data.startswith(b"PUT ") and b"/streams/" in data.partition(b"\r\n")[0]:
                    is_put.set()
                upstream.sendall(data)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=connect, args=(listener.accept()[0],), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def settings(cluster: str, s3: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Set up both namespaces; yield the variables of a server with the permissions that this gives."""
    if "gvisor" not in kubectl("get", "runtimeclasses", "-o", "name"):
        pytest.skip("the cluster has no RuntimeClass gvisor; that of tests/support/cluster has")
    assert STORE.startswith(s3)
    jobs = f"renderer-untrusted-{secrets.token_hex(4)}"
    server = f"{jobs}-serve"

    def setup(*options: str) -> str:
        env = environment(tmp_path)
        done = renderer("setup", "k8s", "--namespace", jobs, "--untrusted", *options, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        setup("--cluster", "--apply")
        serve = ("--serve", "--image", cluster, "--store", STORE)
        setup(*serve, "--apply")
        objects = list(yaml.safe_load_all(setup(*serve)))
        extra = next(item["data"] for item in objects if item["kind"] == "ConfigMap")
        token = kubectl("create", "token", "renderer-serve", "-n", server).strip()
        yield {
            **extra,
            "KUBECONFIG": str(copy_kubeconfig(tmp_path, jobs, token=token)),
            "RENDERER_BACKEND": "k8s",
            "RENDERER_K8S_NAMESPACE": jobs,
            "RENDERER_IMAGE": cluster,
            "RENDERER_STORE": STORE,
            "RENDERER_K8S_STORE_SECRET": "not-for-the-job",
            "RENDERER_GPU": "none",
            "RENDERER_CPU": "0.5",
            "RENDERER_MEMORY": "2Gi",
            "RENDERER_K8S_EPHEMERAL_STORAGE": "1Gi",
            "RENDERER_OUTPUT_LIMIT": "8Mi",
            "RENDERER_RESOLUTION": "160x90",
            "RENDERER_FPS": "10",
        }
    finally:
        kubectl("delete", "namespace", jobs, server, "--wait=false", check=False)
        bindings = [f"clusterrolebinding/{name}" for name in (f"renderer-{jobs}", f"renderer-serve-untrusted-{server}")]
        kubectl("delete", *bindings, "clusterrole/renderer", check=False)


def stored(handle: str) -> list[str]:
    """Return what the bucket has of a job."""
    return sorted(Storage(f"{STORE}/jobs/{handle.rpartition('/')[2]}").list())


def read_film(server: Server, key: str, token: str) -> bytes:
    files = server.call("GET", f"/api/v1/jobs/{key}/outputs", token=token).json()["outputs"]
    (url,) = (file["url"] for file in files if file["path"] == "Moves.mp4")
    return bytes(server.call("GET", url, token=token).content)


def check_that_too_much_is_refused(server: Server, token: str, job: Mapping[str, Any]) -> None:
    """Check a job of two units of which one alone is within the limits, and delete it."""
    key, handle = job["id"], job["handle"]
    job = server.wait(key, token=token)
    assert job["state"] == "failed", job
    assert sorted(unit["state"] for unit in job["units"]) == ["failed", "succeeded"], job
    assert "the outputs were refused: the outputs of the job are larger than" in json.dumps(job)
    assert len(stored(handle)) == 1
    outputs = server.call("GET", f"/api/v1/jobs/{key}/outputs", token=token).json()["outputs"]
    assert [file["size"] for file in outputs if file["path"].endswith("zeros")] == [5 * 2**20]
    assert server.call("DELETE", f"/api/v1/jobs/{key}", token=token).status_code == 204
    assert stored(handle) == []


def test_outputs_outlive_a_killed_server_their_pods_and_their_job(settings: dict[str, str], tmp_path: Path) -> None:
    first = Server(tmp_path / "first", **settings)
    first.home.mkdir()
    token, other = first.token("--name", "alice"), first.token("--name", "bob")
    tokens = first.home / "state" / "manim-renderer" / "serve-tokens"
    plain = first.env["AWS_ENDPOINT_URL"]
    second = Server(tmp_path / "second", RENDERER_SERVE_TOKENS=str(tokens), **settings)
    second.home.mkdir()
    try:
        with killer(plain, first) as address:
            first.env["AWS_ENDPOINT_URL"] = address
            first.start()
            taken = first.submit(SCENE, token=token, file="scene.py", scenes=["Moves"], key="one")
            assert taken.status_code == 201, taken.text
            key, handle = taken.json()["id"], taken.json()["handle"]
            first.wait_killed()
        (stream,) = stored(handle)

        # another server finds what the killed one has stored, and lets the pod end
        second.start()
        large = second.submit(WRITES, token=token, inputs=[1, 2], max_failed=2).json()
        job = second.wait(key, token=token)
        assert job["state"] == "succeeded", json.dumps(job)
        assert stored(handle) == [stream]
        film = read_film(second, key, token)
        assert film[4:8] == b"ftyp"
        again = second.submit(SCENE, token=token, file="scene.py", scenes=["Moves"], key="one")
        assert (again.status_code, again.json()["handle"]) == (200, handle)
        assert second.call("GET", f"/api/v1/jobs/{key}", token=other).status_code == 404

        # nor does it need the pod for the log
        where = settings["RENDERER_K8S_NAMESPACE"]
        kubectl("delete", "pods", "-n", where, "-l", f"batch.kubernetes.io/job-name={handle.rpartition('/')[2]}")
        assert "keys [] store False" in second.call("GET", f"/api/v1/jobs/{key}/logs", token=token).text

        check_that_too_much_is_refused(second, token, large)
        second.end()

        # where it was submitted, it is known after the cluster has deleted it
        kubectl("delete", "job", handle.rpartition("/")[2], "-n", where)
        first.env["AWS_ENDPOINT_URL"] = plain
        first.start()
        assert first.call("GET", f"/api/v1/jobs/{key}", token=token).json()["state"] == "succeeded"
        assert read_film(first, key, token) == film
        assert "keys [] store False" in first.call("GET", f"/api/v1/jobs/{key}/logs", token=token).text
        assert first.call("DELETE", f"/api/v1/jobs/{key}", token=token).status_code == 204
        assert stored(handle) == []
    finally:
        first.end(kill=True)
        second.end(kill=True)


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        (None, "this server has no store for the outputs of untrusted jobs on Kubernetes"),
        ("s3://films", "this server has no sandbox for untrusted jobs on Kubernetes"),
        ("pvc://films", "outputs of untrusted jobs cannot be kept in pvc://films: a PVC is for pods"),
    ],
)
def test_a_server_without_a_bucket_or_a_sandbox_refuses_in_words(store: str | None, sentence: str) -> None:
    loaded = config.load({"backend": "k8s", "untrusted": True, "store": store})
    with pytest.raises(SpecError, match=f"^{sentence}$"):
        replicas.choose_shelf(loaded)
