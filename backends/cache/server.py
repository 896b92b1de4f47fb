"""Answers the render's questions about the shared cache over a Unix socket, so that the render has no credentials.

Each connection is one request: a line of JSON, for ``put`` followed by the content. The answer is a line of JSON, for
``get`` followed by the content. The other side is the job, so everything from it is checked and bounded.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import socketserver
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from backends.cache.entries import COPY_BYTES, is_entry_name
from backends.cache.shared_store import SharedStore, UnusableStore

HEADER_BYTES = 1024
REQUEST_TIMEOUT_S = 30.0  # without a byte from the other side
MAX_FINISH_S = 60.0
CONNECTIONS = 64  # at the same time
_FIRST = re.compile(r"(?:[0-9a-f]{16}|tex|voice)/[0-9a-f]{40}")
_log = logging.getLogger(__name__)


class CacheServer(socketserver.ThreadingUnixStreamServer):
    """Serves one job. ``folder`` is for files of this process alone."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, path: Path, store: SharedStore | UnusableStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(str(path), _Request)
        path.chmod(0o600)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the request; wait while there are too many."""
        self._slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log what went wrong: the other side has gone, or has sent something else than a request."""
        _log.debug("a request to the shared cache failed", exc_info=True)


def _is_first_frame(name: object) -> bool:
    return isinstance(name, str) and _FIRST.fullmatch(name) is not None


class _Request(socketserver.StreamRequestHandler):
    timeout = REQUEST_TIMEOUT_S
    server: CacheServer

    def handle(self) -> None:
        content = json.loads(self.rfile.readline(HEADER_BYTES))
        action, name = content.get("do"), content.get("name")
        store = self.server.store
        if action == "has" and (is_entry_name(name) or _is_first_frame(name)):
            self._answer(ok=store.has(*name.split("/")))
        elif action == "get" and is_entry_name(name):
            self._send_entry(name)
        elif action == "put" and is_entry_name(name) and isinstance(content.get("size"), int):
            self._answer(ok=store.put(name, self.rfile, content["size"]))
        elif action == "problem":
            self._answer(ok=not store.problem, problem=store.problem)
        elif action == "finish":
            problem = store.finish(MAX_FINISH_S)
            self._answer(ok=not problem, problem=problem)

    def _send_entry(self, name: str) -> None:
        content = self.server.folder / f"sent-{secrets.token_hex(8)}"
        try:
            if not self.server.store.get(name, content):
                self._answer(ok=False)
                return
            with content.open("rb") as file:
                self._answer(ok=True, size=content.stat().st_size)
                while data := file.read(COPY_BYTES):
                    self.wfile.write(data)
        finally:
            with suppress(FileNotFoundError):
                content.unlink()

    def _answer(self, **content: object) -> None:
        self.wfile.write(json.dumps(content).encode() + b"\n")
