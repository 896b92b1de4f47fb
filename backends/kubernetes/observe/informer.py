"""Keeps the pods of one Job up to date, for everybody who follows the job."""

from __future__ import annotations

import time
from collections.abc import Callable

from backends.kubernetes.client.client import Api
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod, select_latest
from backends.kubernetes.objects.snapshot import JobSnapshot
from backends.kubernetes.observe.reflector import PodReflector

MIN_WATCH_S = 1.0
QUIET_SHARE = 4  # a watch lasts at most for this part of the time in which nothing has changed


class Informer:
    """Knows the pods of one Job. Subscribers get each pod when it is listed, and again when it changes.

    ``take_snapshot`` and ``wait_for_change`` are called in turn, by one thread, which also calls the subscribers.
    """

    def __init__(self, api: Api, namespace: str, job_name: str) -> None:
        self._reflector = PodReflector(api, namespace, job_name)
        self._pods: dict[str, Pod] = {}
        self._subscribers: list[Callable[[Pod], object]] = []
        self._changed = time.monotonic()

    def subscribe(self, on_pod: Callable[[Pod], object]) -> None:
        """Call ``on_pod`` with each pod that is listed or changes from now on."""
        self._subscribers.append(on_pod)

    def take_snapshot(self, job: Job) -> JobSnapshot:
        """Return the Job, which was just read, with its pods; list them where changes may have been missed."""
        if self._reflector.must_list or self._is_behind(job):
            listed = {pod.name: pod for pod in self._reflector.list_pods()}
            if listed != self._pods:
                self._changed = time.monotonic()
            self._pods = listed
            for pod in listed.values():
                self._notify(pod)
        return JobSnapshot(job, select_latest(self._pods.values()))

    def wait_for_change(self, max_s: float) -> None:
        """Watch until a pod changes, but for ``max_s`` at most.

        After a change the watch lasts one second, because the Job may change soon; then longer and longer. So a job in
        which nothing happens costs few requests, and one in which much happens is read once a second.
        """
        began = time.monotonic()
        seconds = max(MIN_WATCH_S, min(max_s, (began - self._changed) / QUIET_SHARE))
        for pod, exists in self._reflector.watch_pods(int(seconds)):
            self._changed = time.monotonic()
            if exists:
                self._pods[pod.name] = pod
                self._notify(pod)
            else:
                self._pods.pop(pod.name, None)
            if seconds > MIN_WATCH_S:
                return
        time.sleep(max(0.0, began + MIN_WATCH_S - time.monotonic()))  # the watch may have ended early

    def _notify(self, pod: Pod) -> None:
        for on_pod in self._subscribers:
            on_pod(pod)

    def _is_behind(self, job: Job) -> bool:
        """Return whether the Job shows an end, its own or that of a failed unit, that its pods do not show yet."""
        latest = select_latest(self._pods.values()).values()
        return job.end is not None or any(pod.unit in job.failed and not pod.ended for pod in latest)
