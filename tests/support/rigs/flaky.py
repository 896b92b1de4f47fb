"""A proxy before a server that injects faults: it breaks a connection, or answers with status 500."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["500", "cut", "pass"]
CUT_AFTER = 20_000  # bytes of the request
ANSWER_500 = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def flaky(server: str, faults: Sequence[Fault], listen: str | None = None) -> Iterator[tuple[str, list[Fault]]]:
    """Start a proxy for ``server``; the next connections get ``faults`` in turn. Yields its URL and the faults left.

    It listens on the same address as the server, or on ``listen``.
    """
    target = urlsplit(server)
    left = list(faults)
    with closing(socket.create_server((listen or target.hostname or "", 0))) as listener:
        threading.Thread(target=_serve, args=(listener, (target.hostname, target.port), left), daemon=True).start()
        yield f"http://{listen or target.hostname}:{listener.getsockname()[1]}", left
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, target: tuple[str, int], left: list[Fault]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            fault: Fault = left.pop(0) if left else "pass"
            threading.Thread(target=_connection, args=(client, target, fault), daemon=True).start()


def _connection(client: socket.socket, target: tuple[str, int], fault: Fault) -> None:
    with closing(client), suppress(OSError):
        if fault == "500":
            client.recv(65536)
            client.sendall(ANSWER_500)
            return
        with closing(socket.create_connection(target)) as server:
            back = threading.Thread(target=_pump, args=(server, client, None), daemon=True)
            back.start()
            _pump(client, server, CUT_AFTER if fault == "cut" else None)
            if fault == "cut":
                return
            back.join()


def _pump(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    passed = 0
    with suppress(OSError):
        while (limit is None or passed < limit) and (data := source.recv(16384)):
            target.sendall(data)
            passed += len(data)
        if limit is None:
            target.shutdown(socket.SHUT_WR)
