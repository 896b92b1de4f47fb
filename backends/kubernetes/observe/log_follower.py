"""Follows the logs of all units of a running job, line by line, and reconnects when a connection breaks."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from backends.errors import RendererError, TransientError
from backends.kubernetes.client.client import OUTAGE_TIMEOUT_S, Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import core_path
from backends.kubernetes.client.threads import ThreadPool
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod, parse_pod
from backends.kubernetes.observe.informer import Informer
from backends.kubernetes.observe.logs import BEGINNING, assign_line, read_log
from backends.models import LogLine

MAX_READERS = 64  # logs that are followed at the same time; the others are read when one of these has ended
QUEUE_LIMIT = 1000
QUEUE_INTERVAL_S = 0.5
RETRY_INTERVAL_S = 0.3
MAX_WATCH_S = 30.0


class LogFollower:
    """Reads the log of each pod of a job in a thread, as soon as the pod has started.

    ``read_job`` returns ``job`` as it is now, or None if it does not exist any more.
    """

    def __init__(
        self, api: Api, namespace: str, informer: Informer, job: Job, read_job: Callable[[], Job | None]
    ) -> None:
        self._api, self._namespace, self._job = api, namespace, job
        self._informer, self._read_job = informer, read_job
        self._lines: queue.Queue[LogLine | None] = queue.Queue(QUEUE_LIMIT)  # None means the end
        self._stopped = threading.Event()
        self._seen: set[str] = set()
        self._error: RendererError | None = None
        self._readers = ThreadPool(MAX_READERS)
        informer.subscribe(self._on_pod)

    def follow(self) -> Iterator[LogLine]:
        """Yield the lines of all units until the job has ended."""
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            while (line := self._lines.get()) is not None:
                yield line
            if self._error:
                raise self._error
        finally:
            self._stopped.set()

    def _watch(self) -> None:
        try:
            while not self._stopped.is_set():
                job = self._read_job()  # before the pods: those of a job that has ended are complete then
                if job is None:
                    break
                self._informer.take_snapshot(job)
                if job.ended:
                    break
                self._informer.wait_for_change(MAX_WATCH_S)
        except RendererError as error:
            self._error = error
        except ApiError as error:
            self._error = TransientError(str(error))
        finally:
            if self._error is None and not self._stopped.is_set():
                self._readers.finish()
            self._put(None)

    def _on_pod(self, pod: Pod) -> None:
        if pod.has_log and pod.name not in self._seen:
            self._seen.add(pod.name)
            self._readers.submit(lambda: self._read(pod))

    def _read(self, pod: Pod) -> None:
        """Put the lines of one pod's log into the queue. After an error, continue after the last line."""
        since, until = BEGINNING, time.monotonic() + OUTAGE_TIMEOUT_S
        while not self._stopped.is_set():
            ended = self._has_ended(pod)  # before the log: that of a pod that has ended is complete then
            try:
                for moment, text in read_log(self._api, self._namespace, pod, since=since, follow=not ended):
                    since, until = moment, time.monotonic() + OUTAGE_TIMEOUT_S
                    if line := assign_line(self._job, pod, text):
                        self._put(line)
                if ended:
                    return
            except (TransientError, ApiError):
                if ended or time.monotonic() > until:
                    return
            self._stopped.wait(0 if ended else RETRY_INTERVAL_S)

    def _has_ended(self, pod: Pod) -> bool:
        try:
            return parse_pod(self._api.get(core_path(self._namespace, "pods", pod.name))).ended
        except (ApiError, RendererError):
            return True

    def _put(self, line: LogLine | None) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._lines.put(line, timeout=QUEUE_INTERVAL_S)
                return
