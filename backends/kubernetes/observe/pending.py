"""Why a job or its units wait: asks for events and nodes, and only when something does."""

from __future__ import annotations

import functools
import time
from contextlib import suppress

from backends.kubernetes.client.client import Api, Object
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import NODES, core
from backends.kubernetes.observe import diagnosis
from backends.kubernetes.observe.diagnosis_rules import Why
from backends.kubernetes.observe.snapshot import JobView

NODES_S = 300  # how long an answer about all nodes is good


def of_job(api: Api, namespace: str, view: JobView) -> Why | None:
    """Say why the Job's controller makes no pods."""
    for event in _warnings(api, namespace, f"uid={view.job['metadata']['uid']}"):  # an earlier job had the same name
        if event["reason"] == "FailedCreate":
            return diagnosis.cannot_create(event["message"])
    return None


def of_pods(api: Api, namespace: str, view: JobView) -> dict[int, Why]:
    """Say why each unit's pod waits; what only the cluster's events know is asked for the first one alone."""
    waiting = {unit: pod for unit, pod in view.pods.items() if not pod.started and not pod.ended and not pod.deleted}
    found: dict[int, Why] = {}
    for unit, pod in waiting.items():
        scheduled = pod.conditions.get("PodScheduled", {})
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            nodes = _nodes(api, int(time.monotonic() // NODES_S))
            found[unit] = diagnosis.cannot_schedule(scheduled.get("message", ""), nodes)
        elif why := diagnosis.cannot_start(pod.waiting):
            found[unit] = why
    if waiting and not found:
        unit, pod = next(iter(waiting.items()))
        for event in _warnings(api, namespace, f"name={pod.name}"):
            if why := diagnosis.warning(event["reason"], event["message"]):
                found[unit] = why
    return found


def _warnings(api: Api, namespace: str, which: str) -> list[Object]:
    """Give the warnings about an object, the newest first; none where they may not be read."""
    selector = f"type=Warning,involvedObject.{which}"
    try:
        events = list(api.items(core(namespace, "events"), fieldSelector=selector))
    except ApiError:
        return []
    return sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime")), reverse=True)


@functools.lru_cache(maxsize=1)
def _nodes(api: Api, period: int) -> str:  # noqa: ARG001 - the answer holds for one period
    """Say which GPUs the nodes have; nothing where nodes may not be read. A large cluster is not asked every second."""
    with suppress(ApiError):
        return diagnosis.of_nodes(api.items(NODES))
    return ""
