"""Why a job or its units wait: asks for events and nodes, and only when something does."""

from __future__ import annotations

from contextlib import suppress

from backends.kubernetes import reasons
from backends.kubernetes.api import Api, Object
from backends.kubernetes.paths import NODES, core
from backends.kubernetes.rules import Why
from backends.kubernetes.view import JobView
from backends.kubernetes.words import ApiError


def of_job(api: Api, namespace: str, view: JobView) -> Why | None:
    """Say why the Job's controller makes no pods."""
    for event in _warnings(api, namespace, "Job", view.name):
        if event["reason"] == "FailedCreate":
            return reasons.cannot_create(event["message"])
    return None


def of_pods(api: Api, namespace: str, view: JobView) -> dict[int, Why]:
    """Say why each unit's pod waits; what only the cluster's events know is asked for the first one alone."""
    waiting = {unit: pod for unit, pod in view.pods.items() if not pod.started and not pod.ended and not pod.deleted}
    found: dict[int, Why] = {}
    nodes: str | None = None
    for unit, pod in waiting.items():
        scheduled = pod.conditions.get("PodScheduled", {})
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            nodes = _nodes(api) if nodes is None else nodes
            found[unit] = reasons.cannot_schedule(scheduled.get("message", ""), nodes)
        elif why := reasons.cannot_start(pod.waiting):
            found[unit] = why
    if waiting and not found:
        unit, pod = next(iter(waiting.items()))
        for event in _warnings(api, namespace, "Pod", pod.name):
            if why := reasons.warning(event["reason"], event["message"]):
                found[unit] = why
    return found


def _warnings(api: Api, namespace: str, kind: str, name: str) -> list[Object]:
    """Give the warnings about an object, the newest first; none where they may not be read."""
    selector = f"type=Warning,involvedObject.kind={kind},involvedObject.name={name}"
    try:
        events = list(api.items(core(namespace, "events"), fieldSelector=selector))
    except ApiError:
        return []
    return sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime")), reverse=True)


def _nodes(api: Api) -> str:
    """Say which GPUs the nodes have; nothing where nodes may not be read."""
    with suppress(ApiError):
        return reasons.of_nodes(api.items(NODES))
    return ""
