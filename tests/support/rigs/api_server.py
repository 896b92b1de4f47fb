"""A small fake API server, for answers that a cluster gives rarely; the client under test is the real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.rigs.kubernetes import write_kubeconfig

from backends.kubernetes import names
from backends.kubernetes.client.client import Api

CREATED = "2026-01-01T00:00:00Z"
POD: dict[str, Any] = {"metadata": {"name": "p", "creationTimestamp": CREATED}, "status": {"phase": "Running"}}
JOB: dict[str, Any] = {
    "metadata": {"name": "j", "uid": "u", "creationTimestamp": CREATED, "labels": names.job_labels("j")},
    "spec": {"completions": 1, "template": {"spec": {"containers": [{}]}}},
}
CUT = b" and no more comes"  # the end of an answer whose connection breaks
Answers = Callable[[str], tuple[int, bytes]]


@contextmanager
def serve(answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Run a server that answers a GET of each path with a status and a body; yields a client of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = answers(self.path)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))  # longer than the body, where that is cut
            self.end_headers()
            self.wfile.write(body.removesuffix(CUT))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        server = f"http://127.0.0.1:{http.server_port}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(folder / "config", server, token="t")))  # noqa: S106 - no password
        yield Api(None)
        http.shutdown()


def dump(content: object) -> bytes:
    """Return one object of an answer, or one event of a watch."""
    return json.dumps(content).encode() + b"\n"
