"""What Prometheus reads at /metrics, and who may."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from support.http_server import Server, serving
from support.processes import until

SCENE = """
from manim import *

class Hello(Scene):
    def construct(self):
        self.play(Create(Square()), run_time=0.5)
"""


def read(server: Server, token: str | None = None) -> dict[tuple[str, ...], float]:
    """Return the figures of the server, by name and labels."""
    answer = server.call("GET", "/metrics", token=token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_jobs_time_frames_and_errors(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        assert read(server)["process_start_time_seconds",] > 0
        film = server.submit(SCENE, scenes=["Hello"], settings={"resolution": "160x90", "fps": 10}).json()["id"]
        assert server.wait(film)["state"] == "succeeded"
        server.call("GET", f"/api/v1/jobs/{film}/outputs")
        server.call("GET", f"/api/v1/jobs/{film}/outputs")
        server.wait(server.submit("raise SystemExit(7)").json()["id"])
        running = server.submit("import time\ntime.sleep(600)").json()["id"]
        until(lambda: read(server).get(("renderer_jobs", "local", "running")) == 1)
        found = read(server)
        assert found["renderer_jobs", "local", "succeeded"] == 1
        assert found["renderer_jobs", "local", "failed"] == 1
        assert found["renderer_jobs_ended_total", "local", "0", "succeeded"] == 1
        assert found["renderer_jobs_ended_total", "local", "10", "failed"] == 1
        assert found["renderer_frames_total", "local", "drawn"] == 5
        assert found["renderer_frames_total", "local", "cached"] == 0
        assert found["renderer_waiting_seconds_total", "local"] >= 0
        before = found["renderer_running_seconds_total", "local"]
        until(lambda: read(server)["renderer_running_seconds_total", "local"] > before + 1)
        server.call("DELETE", f"/api/v1/jobs/{running}")
        server.end()
        server.start()  # counters begin again, jobs are still known
        until(lambda: read(server).get(("renderer_jobs", "local", "succeeded")) == 1)
        assert not [key for key in read(server) if key[0] == "renderer_jobs_ended_total"]
