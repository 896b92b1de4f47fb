"""Runs a command in a container, as ``kubectl exec`` does, over one websocket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.errors import BackendError, TransientError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import core

STDIN, STDOUT, STDERR, ERROR = range(4)
CHUNK = 2**16
QUIET_S = 60.0  # a connection that says nothing for so long is gone


def run(
    api: Api,
    namespace: str,
    pod: str,
    command: list[str],
    output: Callable[[memoryview], object] = len,
    source: Path | None = None,
) -> None:
    """Run it to its end; ``output`` gets stdout piece by piece, ``source`` is written to stdin.

    Raises ApiError when the container is not there (any more), TransientError when the connection breaks, NotYetError
    when the command says that it came too early, CommandError when it fails.
    """
    query = [("command", word) for word in command] + [("stdout", "1"), ("stderr", "1")]
    query += [("stdin", "1")] if source else []
    socket = api.websocket(core(namespace, "pods", pod, "exec"), query)
    try:
        socket.settimeout(QUIET_S)
        if source:
            _feed(socket, source)
        _drain(socket, output)
    finally:
        socket.close(timeout=1)


def _feed(socket: Any, source: Path) -> None:
    import websocket

    try:
        with source.open("rb") as file:
            while part := file.read(CHUNK):
                socket.send_binary(bytes([STDIN]) + part)
    except (websocket.WebSocketException, OSError) as error:
        raise TransientError("the connection to the pod broke") from error


def _drain(socket: Any, output: Callable[[memoryview], object]) -> None:
    import websocket

    complaints = b""
    while True:
        try:
            opcode, data = socket.recv_data()
        except (websocket.WebSocketException, OSError) as error:
            raise TransientError("the connection to the pod broke") from error
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise TransientError("the connection to the pod broke")
        channel, content = data[0] if data else ERROR, memoryview(data)[1:]
        if channel == STDOUT:
            output(content)
        elif channel == STDERR:
            complaints = (complaints + content)[-2000:]
        elif channel == ERROR and content:
            return _judge(json.loads(bytes(content)), complaints)


class CommandError(BackendError):
    """The command ended with an error of its own."""


class NotYetError(CommandError):
    """What was asked for will be there later."""


def _judge(status: dict[str, Any], complaints: bytes) -> None:
    if status.get("status") == "Success":
        return
    if status.get("reason") != "NonZeroExitCode":
        raise ApiError(int(status.get("code") or 500), str(status.get("reason")), str(status.get("message")))
    if {"reason": "ExitCode", "message": str(names.NOT_YET)} in status.get("details", {}).get("causes", []):
        raise NotYetError("the pod's outputs are not ready")
    said = complaints.decode("utf-8", "replace").strip().splitlines()
    raise CommandError(f"a command in the pod failed: {said[-1] if said else status.get('message', 'no reason given')}")
