"""What load balancers and nodes of other clusters answer, and the tests' cluster never does: from a small server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rigs.kubernetes import write_kubeconfig

from backends.errors import OutputError
from backends.kubernetes import collect, units
from backends.kubernetes.api import Api
from backends.kubernetes.logs import of_pod

POD = {"metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}}
Answers = Callable[[str], tuple[int, bytes]]


@contextmanager
def answering(answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Give a client whose server answers each path so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = answers(self.path)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        server = f"http://127.0.0.1:{http.server_port}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(folder / "config", server, token="t")))  # noqa: S106 - no password
        yield Api(None)
        http.shutdown()


def test_outputs_are_gone_only_when_their_pod_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answers(path: str) -> tuple[int, bytes]:
        asked.append(path.partition("?")[0].rpartition("/")[2])
        if asked[-1] == "exec":
            return 503, b"no healthy upstream"
        return (200, json.dumps(POD).encode()) if len(asked) < 4 else (404, b'{"reason": "NotFound"}')

    with answering(answers, tmp_path, monkeypatch) as api, pytest.raises(OutputError, match="gone with their pod p"):
        collect.download(api, "n", "p", tmp_path / "stream")
    assert asked == ["exec", "p", "exec", "p"]


def test_a_log_goes_on_where_it_stopped_whatever_zone_the_node_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    log = b"""\
2026-03-29T01:59:59.9+01:00 before
2026-03-29T03:00:00.123456789+02:00 last
2026-03-29T03:00:00.12345679+02:00 next
2026-10-25T02:00:00+01:00 winter
unable to retrieve container logs
"""

    def answers(path: str) -> tuple[int, bytes]:
        asked.append(path)
        return 200, log

    with answering(answers, tmp_path, monkeypatch) as api:
        lines = list(of_pod(api, "n", units.pod(POD)))
        assert [text for _, text in lines] == ["before", "last", "next", "winter", "unable to retrieve container logs"]
        rest = [text for _, text in of_pod(api, "n", units.pod(POD), since=lines[1][0])]
    assert rest == ["next", "winter", "unable to retrieve container logs"]
    assert "sinceTime=2026-03-29T01%3A00%3A00%2B00%3A00" in asked[1]
