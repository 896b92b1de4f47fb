"""Logs of all units at once, whole lines as they come, whatever happens to connections and pods."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from backends.errors import RendererError, TransientError
from backends.kubernetes import names
from backends.kubernetes.client.client import PATIENCE_S, Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import core
from backends.kubernetes.client.threads import Crew
from backends.kubernetes.client.transport import READ_S
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.observe.reflector import Pods
from backends.kubernetes.observe.unit_pods import Pod
from backends.models import LogLine

MOST_AT_ONCE = 64  # logs that are followed at the same time; others are read when one of these ends
MOST_COLLECTED = 4
LOG_S = 4 * 3600.0  # a log may be silent for so long
WATCH_S, SOON_S = 30, 1  # how long one watch lasts; and after a pod has ended
PAUSE_S = 0.3
_END = None
_STAMP = re.compile(r"(\d[\d:T-]+)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")

Moment = tuple[datetime, int]  # the second in UTC, and nanoseconds of it
BEGINNING: Moment = (datetime.min.replace(tzinfo=UTC), 0)


def of_pod(
    api: Api, namespace: str, pod: Pod, *, since: Moment = BEGINNING, follow: bool = False
) -> Iterator[tuple[Moment, str]]:
    """Give (time, line) of one pod after the time ``since``. Raises TransientError when the connection breaks."""
    query = {"container": names.CONTAINER, "timestamps": "true"}
    query |= {"sinceTime": since[0].isoformat()} if since != BEGINNING else {}
    query |= {"follow": "true"} if follow else {}
    path = core(namespace, "pods", pod.name, "log")
    for raw in api.lines(path, query, read_s=LOG_S if follow else READ_S):
        line = raw.decode("utf-8", "replace").rstrip("\r")
        stamp, _, text = line.partition(" ")
        if (moment := _moment(stamp)) is None:  # the kubelet's own words
            yield since, line
        elif moment > since:
            yield moment, text


def _moment(stamp: str) -> Moment | None:
    """Read a time with up to nine digits after the point, in whatever zone the node keeps its clock."""
    parts = _STAMP.fullmatch(stamp)
    if not parts:
        return None
    return datetime.fromisoformat(parts[1] + parts[3]).astimezone(UTC), int((parts[2] or "").ljust(9, "0"))


class Follower:
    """Watches the pods of a job; each started one gets a thread that passes its lines on."""

    def __init__(
        self, api: Api, namespace: str, job: str, on_ready: Callable[[Pod], None], ended: Callable[[], bool]
    ) -> None:
        self._api, self._namespace = api, namespace
        self._pods = Pods(api, namespace, job)
        self._on_ready, self._ended = on_ready, ended
        self._lines: queue.Queue[LogLine | None] = queue.Queue(1000)
        self._stopped = threading.Event()
        self._seen: set[str] = set()
        self._error: RendererError | None = None
        self._soon = 0.0
        self._readers = Crew(MOST_AT_ONCE)
        self._collectors = Crew(MOST_COLLECTED)  # its own: a log ends only when its pod was collected and let go

    def run(self) -> Iterator[LogLine]:
        """Give lines until the job has ended and all of them were given."""
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            while (line := self._lines.get()) is not _END:
                yield line
            if self._error:
                raise self._error
        finally:
            self._stopped.set()

    def _watch(self) -> None:
        try:
            while not self._stopped.is_set():
                ended = self._ended()  # asked first: every pod is then in the list
                if ended or self._pods.lost:
                    for pod in self._pods.read():
                        self._look(pod)
                if ended:
                    break
                self._watch_pods()
        except RendererError as error:
            self._error = error
        except ApiError as error:
            self._error = TransientError(str(error))
        finally:
            if self._error is None and not self._stopped.is_set():
                self._readers.finish()
                self._collectors.finish()
            self._put(_END)

    def _watch_pods(self) -> None:
        """Look at what changes for a while."""
        seconds = SOON_S if time.monotonic() < self._soon else WATCH_S
        for pod, _ in self._pods.changes(seconds):
            if self._stopped.is_set() or (self._look(pod) and seconds != SOON_S):
                return  # the job may end soon: watch in short rounds
        if self._pods.lost:
            self._stopped.wait(PAUSE_S)

    def _look(self, pod: Pod) -> bool:
        """Follow a pod that has begun; tells whether it is over."""
        if pod.has_log and pod.name not in self._seen:
            self._seen.add(pod.name)
            self._readers.do(lambda: self._pass_on(pod))
        if pod.collectable:
            self._collectors.do(lambda: self._on_ready(pod))
        if pod.ended or pod.deleted:
            self._soon = time.monotonic() + 10 * SOON_S
            return True
        return False

    def _pass_on(self, pod: Pod) -> None:
        since, until = BEGINNING, time.monotonic() + PATIENCE_S
        while not self._stopped.is_set():
            over = self._over(pod)  # asked first: the log then holds everything
            try:
                for stamp, text in of_pod(self._api, self._namespace, pod, since=since, follow=not over):
                    since, until = stamp, time.monotonic() + PATIENCE_S
                    self._put(LogLine(pod.unit, text))
                if over:
                    return
            except (TransientError, ApiError):
                if over or time.monotonic() > until:
                    return
            self._stopped.wait(PAUSE_S if not over else 0)

    def _over(self, pod: Pod) -> bool:
        try:
            return unit_pods.pod(self._api.get(core(self._namespace, "pods", pod.name))).ended
        except (ApiError, RendererError):
            return True

    def _put(self, line: LogLine | None) -> None:
        while True:
            with suppress(queue.Full):
                self._lines.put(line, timeout=0.5)
                return
            if self._stopped.is_set():
                return
