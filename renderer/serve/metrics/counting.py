"""Counts what jobs take and how they end, from the statuses that the server sees. It stores nothing.

Counters begin with 0 when the server starts, as Prometheus expects it. The time between two looks at a job counts for
the state that it had at the first of them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from backends import JobState, JobStatus
from backends.exit_codes import ExitCode
from renderer.serve.records import now
from renderer.serve.service import Entry
from renderer.telemetry import tracing

SCRAPED_S = 300.0  # how long after the last scrape jobs are still looked at
UNKNOWN = "unknown"  # the state of a job that the server has not looked at since it was started
_CODES = frozenset(map(int, ExitCode))


@dataclass(frozen=True)
class _Look:
    """What the server saw of a job: how many units waited and ran, and when."""

    waiting: int
    running: int
    at: float
    moment: datetime
    ran: datetime | None = None  # when it was first seen to run


class Metrics:
    """The figures of one server. The methods may be called from any thread."""

    def __init__(self) -> None:
        self._started, self._scraped = now(), float("-inf")
        self._guard = threading.Lock()
        self._looks: dict[tuple[str, str], _Look] = {}
        self._ended: set[tuple[str, str]] = set()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more gauge for each counter
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._jobs = Gauge("renderer_jobs", "Jobs that the server knows", ["backend", "state"], registry=registry)
        self._ends = Counter(
            "renderer_jobs_ended", "Jobs that have ended", ["backend", "state", "exit_code"], registry=registry
        )
        self._waiting = Counter("renderer_waiting_seconds", "Time that units waited", ["backend"], registry=registry)
        self._running = Counter("renderer_running_seconds", "Time that units ran", ["backend"], registry=registry)
        self._gpus = Counter(
            "renderer_gpu_seconds", "Time that units ran, times their GPUs", ["backend"], registry=registry
        )
        self._frames = Counter(
            "renderer_frames",
            "Frames of films whose outputs were downloaded, drawn or from a cache",
            ["backend", "source"],
            registry=registry,
        )

    @property
    def is_wanted(self) -> bool:
        """Whether somebody has read the figures lately."""
        return time.monotonic() - self._scraped < SCRAPED_S

    def observe(self, entry: Entry, status: JobStatus) -> None:
        """Count what a job did since the last look. Jobs of the command line are not counted."""
        if entry.record is None:
            return
        key = entry.record.unique
        states = Tally(unit.state for unit in status.units) or Tally([status.state])
        look = _Look(states[JobState.PENDING], states[JobState.RUNNING], time.monotonic(), datetime.now(UTC))
        with self._guard:
            if key in self._ended:
                return
            last = self._looks.get(key)
            ran = (last and last.ran) or (look.moment if look.running else None)
            look = replace(look, ran=ran)
            if last:
                self._add_time(entry, last, look, status.finished)
            if not status.state.terminal:
                self._looks[key] = look
                return
            self._looks.pop(key, None)
            self._ended.add(key)
        if last or entry.record.created >= self._started:  # else it ended before the server was started
            code = status.exit_code
            text = str(int(code)) if code in _CODES else "other"
            tracing.record_run(status, ran)
            self._ends.labels(entry.backend, str(status.state), text).inc()

    def _add_time(self, entry: Entry, last: _Look, look: _Look, finished: datetime | None) -> None:
        seconds = look.at - last.at
        if finished:
            seconds = min(seconds, max(0.0, (finished - last.moment).total_seconds()))
        self._waiting.labels(entry.backend).inc(last.waiting * seconds)
        self._running.labels(entry.backend).inc(last.running * seconds)
        gpus = entry.record.gpus if entry.record else 0
        if gpus:
            self._gpus.labels(entry.backend).inc(last.running * gpus * seconds)

    def add_frames(self, entry: Entry, frames: int, cached: int) -> None:
        """Count the frames of a job whose outputs were downloaded; ``cached`` of them come from a cache."""
        self._frames.labels(entry.backend, "drawn").inc(frames - cached)
        self._frames.labels(entry.backend, "cached").inc(cached)

    def render(self, states: Iterable[tuple[str, JobState | None]]) -> bytes:
        """Return the figures in Prometheus' format. ``states`` are backend and state of all jobs."""
        self._scraped = time.monotonic()
        counts = Tally((backend, str(state or UNKNOWN)) for backend, state in states)
        with self._guard:
            self._jobs.clear()
            for (backend, state), count in counts.items():
                self._jobs.labels(backend, state).set(count)
            return generate_latest(self._registry)
