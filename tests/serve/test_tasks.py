"""What the server does beside its answers."""

from __future__ import annotations

import anyio
import pytest

from renderer.serve.app import keep_running


def test_a_task_that_fails_is_told_and_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    async def collect(where: str) -> None:
        calls.append(where)
        if len(calls) == 1:
            raise FileNotFoundError(where)

    anyio.run(keep_running, collect, "k8s")
    assert calls == ["k8s", "k8s"]
    assert "a task of the server failed, and begins again in 2 s" in caplog.text
