"""What the server does beside its answers."""

from __future__ import annotations

import socket

import anyio
import pytest

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
