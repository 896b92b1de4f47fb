"""A job for somebody who waits for its end: what did not change is not asked for again."""

from __future__ import annotations

import time

from backends.kubernetes.client.client import Api, Object
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.observe.reflector import Pods
from backends.kubernetes.observe.snapshot import JobView

SHORTEST_S = 1.0
PART = 4  # a pause lasts for this part of the time in which nothing has changed


class Watched:
    """Keeps what was read of a job's pods up to date by a watch, which also ends the pauses between two looks."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._pods = Pods(api, namespace, name)
        self._known: dict[str, unit_pods.Pod] = {}
        self._changed = time.monotonic()

    def view(self, job: Object) -> JobView:
        """Give the Job, as it is now, with its pods."""
        if self._pods.lost or self._late(job):
            self._known = {pod.name: pod for pod in self._pods.read()}
        return JobView(job, unit_pods.latest(self._known.values()))

    def pause(self, longest: float) -> None:
        """Wait until a pod changes, or for ``longest`` seconds; for a second where things change all the time."""
        began = time.monotonic()
        seconds = max(SHORTEST_S, min(longest, (began - self._changed) / PART))
        for pod, there in self._pods.changes(int(seconds)):
            self._changed = time.monotonic()
            if there:
                self._known[pod.name] = pod
            else:
                self._known.pop(pod.name, None)
            if seconds > SHORTEST_S:
                return
        time.sleep(max(0.0, began + SHORTEST_S - time.monotonic()))  # the watch may have ended early

    def _late(self, job: Object) -> bool:
        """Tell whether the Job knows more than its pods do here: that it is over, or that one has failed."""
        failed = set(unit_pods.indexes(job.get("status", {}).get("failedIndexes")))
        return unit_pods.ended(job) is not None or any(
            pod.unit in failed and not pod.ended for pod in unit_pods.latest(self._known.values()).values()
        )
