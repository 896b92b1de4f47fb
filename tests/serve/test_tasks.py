"""What the server does beside its answers."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import anyio
import pytest
from support.commands import environment, renderer

from renderer.serve.app import GONE_S, keep_running, listen


def test_a_task_that_fails_is_told_and_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    async def collect(where: str) -> None:
        calls.append(where)
        if len(calls) == 1:
            raise FileNotFoundError(where)

    anyio.run(keep_running, collect, "k8s")
    assert calls == ["k8s", "k8s"]
    assert "a task of the server failed, and begins again in 2 s" in caplog.text


def test_a_connection_ends_when_its_client_takes_nothing() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == GONE_S * 1000
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_gc_removes_old_records_of_all_replicas_from_the_bucket(tmp_path: Path) -> None:
    old, new = (tmp_path / "bucket/served/alice" / key for key in ("old", "new"))
    outputs = tmp_path / "bucket/jobs/hello/film.mp4"
    for path in (old, new, outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"data")
    for path in (old, outputs):
        os.utime(path, (time.time() - 40 * 86400,) * 2)
    env = environment(tmp_path, RENDERER_STORE=f"file://{tmp_path}/bucket")
    done = renderer("gc", "--backend", "k8s", cwd=tmp_path, env=env)
    assert (done.returncode, "served/alice/old  0.0 MiB  40 d" in done.stdout) == (0, True), done.stdout + done.stderr
    assert [path.exists() for path in (old, new, outputs)] == [False, True, True]
