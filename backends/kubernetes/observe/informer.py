"""Keeps a list of one Job's pods up to date, and calls subscribers when a pod changes."""

from __future__ import annotations

import time
from collections.abc import Callable

from backends.kubernetes.client.client import Api
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod, select_latest
from backends.kubernetes.objects.snapshot import JobSnapshot
from backends.kubernetes.observe.reflector import PodReflector

MIN_WATCH_S = 1.0
QUIET_SHARE = 4  # a watch lasts at most a quarter of the time since the last change


class Informer:
    """Knows the pods of one Job. Subscribers are called with each pod, and again each time that it changes.

    One thread calls ``take_snapshot`` and ``wait_for_change`` alternately. The subscribers run in this thread.
    """

    def __init__(self, api: Api, namespace: str, job_name: str, *, fields: str = "") -> None:
        """Know only the pods for which the field selector ``fields`` holds."""
        self._reflector = PodReflector(api, namespace, job_name, fields=fields)
        self._pods: dict[str, Pod] = {}
        self._subscribers: list[Callable[[Pod], object]] = []
        self._changed = time.monotonic()

    def subscribe(self, on_pod: Callable[[Pod], object]) -> None:
        """Call ``on_pod`` with each pod that is listed or changes from now on."""
        self._subscribers.append(on_pod)

    def take_snapshot(self, job: Job) -> JobSnapshot:
        """Return ``job``, which the caller has just read, with its pods. List the pods if a change may be missing."""
        if self._reflector.must_list or self._is_behind(job):
            listed = {pod.name: pod for pod in self._reflector.list_pods()}
            if listed != self._pods:
                self._changed = time.monotonic()
            self._pods = listed
            for pod in listed.values():
                self._notify(pod)
        return JobSnapshot(job, select_latest(self._pods.values()))

    def wait_for_change(self, max_s: float) -> None:
        """Watch until a pod changes, for at most ``max_s`` seconds.

        After a change the watch lasts one second, because the Job may change soon. The longer nothing changes, the
        longer a watch lasts. So an idle job needs few requests, and a busy one is read once a second.
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
        """Return whether the Job has ended, or a unit has failed, and the known pods do not show this yet."""
        latest = select_latest(self._pods.values()).values()
        return job.end is not None or any(pod.index in job.failed_pods and not pod.ended for pod in latest)
