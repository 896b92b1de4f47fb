"""Runs a command in a container over one websocket, as ``kubectl exec`` does."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from backends.errors import BackendError, TransientError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import make_error
from backends.kubernetes.client.paths import core_path

if TYPE_CHECKING:
    from websocket import WebSocket

_log = logging.getLogger(__name__)

STDIN, STDOUT, STDERR, ERROR = range(4)  # the channels of the protocol
CHUNK = 2**16
SILENCE_TIMEOUT_S = 60.0  # a connection that is silent for so long is broken
STDERR_LIMIT = 2000
KILLED = frozenset({"137", "143"})  # exit codes in a pod that is being ended: SIGKILL and SIGTERM


class CommandError(BackendError):
    """The command in the container failed."""


class NotReadyError(CommandError):
    """The command was called too early: the files that it reads do not exist yet."""


class _Cause(TypedDict):
    reason: str
    message: str


class _Details(TypedDict, total=False):
    causes: list[_Cause]


class _Status(TypedDict, total=False):
    """The message on the error channel: it says how a command ended."""

    status: str
    reason: str
    message: str
    code: int
    details: _Details


def run_command(
    api: Api,
    namespace: str,
    pod: str,
    command: list[str],
    output: Callable[[memoryview], object] = len,
    source: Path | None = None,
) -> None:
    """Run a command in the pod, and wait for its end.

    ``output`` is called with each piece of its stdout. The content of the file ``source`` is its stdin. Raises ApiError
    if the container does not exist (any more), TransientError if the connection breaks or the command is killed,
    NotReadyError if the command was called too early, CommandError if it fails.
    """
    query = [("command", word) for word in command] + [("stdout", "1"), ("stderr", "1")]
    query += [("stdin", "1")] if source else []
    socket = api.open_websocket(core_path(namespace, "pods", pod, "exec"), query)
    try:
        socket.settimeout(SILENCE_TIMEOUT_S)
        if source:
            _send_stdin(socket, source)
        _receive_output(socket, output)
    finally:
        socket.close(timeout=1)


def _send_stdin(socket: WebSocket, source: Path) -> None:
    import websocket

    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                socket.send_binary(bytes([STDIN]) + chunk)
    except (websocket.WebSocketException, OSError) as error:
        raise TransientError("the connection to the pod broke") from error


def _receive_output(socket: WebSocket, output: Callable[[memoryview], object]) -> None:
    import websocket

    stderr, received = b"", 0
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
            received += len(content)
        elif channel == STDERR:
            stderr = (stderr + content)[-STDERR_LIMIT:]
        elif channel == ERROR and content:
            _log.debug("the command wrote %d bytes", received)
            return _check_status(json.loads(bytes(content)), stderr)


def _check_status(status: _Status, stderr: bytes) -> None:
    if status.get("status") == "Success":
        return
    if status.get("reason") != "NonZeroExitCode":
        raise make_error(int(status.get("code") or 500), str(status.get("reason")), str(status.get("message")))
    codes = {cause["message"] for cause in status.get("details", {}).get("causes", []) if cause["reason"] == "ExitCode"}
    if str(names.NOT_READY_EXIT_CODE) in codes:
        raise NotReadyError("the pod's outputs are not ready")
    if codes & KILLED:
        raise TransientError("the pod was ended during a command in it")
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    raise CommandError(f"a command in the pod failed: {lines[-1] if lines else status.get('message', 'unknown error')}")
