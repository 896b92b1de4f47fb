"""Spans of OpenTelemetry, as a collector gets them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.commands import environment, renderer
from support.http_server import serving

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector(ThreadingHTTPServer):
    """Takes what exporters send, and keeps it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, bytes]] = []

    def read(self) -> dict[str, Span]:
        """Return the spans of one job, by name."""
        parts = [part for _, body in self.got for part in ExportTraceServiceRequest.FromString(body).resource_spans]
        assert all(
            {item.key: item.value.string_value for item in part.resource.attributes}["service.name"] == "renderer"
            for part in parts
        )
        spans = [span for part in parts for scope in part.scope_spans for span in scope.spans]
        assert sorted(span.name for span in spans) == ["fetch", "render", "submit", "wait"]
        return {span.name: span for span in spans}


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.got.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_job_has_spans_without_what_the_user_gave(tmp_path: Path, collector: Collector) -> None:
    (tmp_path / "job.py").write_text("import os, pathlib\npathlib.Path('made.txt').write_text(os.environ['KEY'])")
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
    address["OTEL_EXPORTER_OTLP_TIMEOUT"] = "300"
    env = environment(tmp_path / "home", TRACEPARENT=f"00-{TRACE}-b7ad6b7169203331-01", **address)
    done = renderer("submit", "job.py", "--env", "KEY=the-secret", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert {path for path, _ in collector.got} == {"/v1/traces"}
    assert all(b"the-secret" not in body and b"job.py" not in body for _, body in collector.got)
    spans = collector.read()
    assert {span.parent_span_id.hex() for span in spans.values()} == {
        "b7ad6b7169203331",
        spans["submit"].span_id.hex(),
    }
    assert spans["submit"].parent_span_id.hex() == "b7ad6b7169203331"
    for span in spans.values():
        facts = {item.key: item.value for item in span.attributes}
        assert facts["renderer.backend"].string_value == "local"
        assert facts["renderer.job"].string_value.startswith("local://job-")
        assert span.trace_id.hex() == TRACE
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    assert spans["wait"].end_time_unix_nano == spans["render"].start_time_unix_nano


def test_the_spans_of_a_job_of_the_server_are_one_trace(tmp_path: Path, collector: Collector) -> None:
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
    with serving(tmp_path / "home", OTEL_EXPORTER_OTLP_TIMEOUT="300", **address) as server:
        job = server.submit("print('the-secret')").json()["id"]
        server.wait(job)
        server.call("GET", f"/api/v1/jobs/{job}/outputs")
    assert all(b"the-secret" not in body for _, body in collector.got)
    spans = collector.read()
    submit = spans.pop("submit")
    assert submit.parent_span_id == b""
    assert {span.parent_span_id for span in spans.values()} == {submit.span_id}
    assert {span.trace_id for span in spans.values()} == {submit.trace_id}


def test_a_collector_that_is_away_or_unwanted_changes_nothing(tmp_path: Path, collector: Collector) -> None:
    (tmp_path / "job.py").write_text("pass")
    away = environment(tmp_path / "home", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert renderer("submit", "job.py", cwd=tmp_path, env=away).returncode == 0
    address = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
    unwanted = environment(tmp_path / "home", OTEL_SDK_DISABLED="true", **address)
    assert renderer("submit", "job.py", "-d", cwd=tmp_path, env=unwanted).returncode == 0
    assert collector.got == []
