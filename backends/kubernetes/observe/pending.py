"""Finds out why a job or its units wait. It reads events and nodes only when something waits."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from backends.kubernetes.client.client import Api, JsonObject
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import NODES, core_path
from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod
from backends.kubernetes.objects.snapshot import JobSnapshot
from backends.kubernetes.observe import diagnosis, scheduling
from backends.kubernetes.observe.diagnosis_rules import NO_PULL_SECRET
from backends.problem import Problem

NODES_INTERVAL_S = 300  # how often the nodes are read: a large cluster has thousands of them


def explain_missing_pods(api: Api, namespace: str, job: Job) -> Problem | None:
    """Return why the Job has no pods; None if Kubernetes has not reported a failure to create them."""
    for event in _list_warnings(api, namespace, f"uid={job.uid}"):  # the uid: an earlier Job may have had the name
        if event["reason"] == "FailedCreate":
            return diagnosis.explain_failed_create(event["message"])
    return None


def explain_waiting_pods(api: Api, namespace: str, snapshot: JobSnapshot) -> Mapping[int, Problem]:
    """Return why pods wait, by completion index. If no pod shows it, read the events, but only those of the first."""
    waiting = {
        index: pod for index, pod in snapshot.pods.items() if not pod.started and not pod.ended and not pod.deleted
    }
    found = {index: problem for index, pod in waiting.items() if (problem := _explain_pod(api, snapshot.job, pod))}
    if waiting and not found:
        index, pod = next(iter(waiting.items()))
        if problem := _explain_events(api, namespace, pod):
            found[index] = problem
    if snapshot.job.pod_spec.get("imagePullSecrets"):
        _add_missing_secret(api, namespace, waiting, found)
    return found


def _add_missing_secret(api: Api, namespace: str, waiting: Mapping[int, Pod], found: dict[int, Problem]) -> None:
    """Add to problems of images that cannot be pulled that a Secret is missing, if the first pod's events say so."""
    failed = [index for index, problem in found.items() if problem.exit_code is not None]
    events = _list_warnings(api, namespace, f"name={waiting[failed[0]].name}") if failed else []
    missing = next((event["message"] for event in events if event["reason"] == NO_PULL_SECRET), None)
    problem = diagnosis.explain_warning(NO_PULL_SECRET, missing) if missing else None
    if problem:
        for index in failed:
            each = found[index]
            found[index] = replace(
                each, message=f"{each.message}; {problem.message}", hint=f"{problem.hint}; {each.hint}"
            )


def explain_idle_pod(api: Api, namespace: str, pod: Pod) -> Problem | None:
    """Return why a pod that belongs to no Job waits."""
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled and scheduled.holds is False:
        return scheduling.explain_unschedulable(scheduled.message)
    if problem := diagnosis.explain_waiting(pod.waiting):
        return problem
    return _explain_events(api, namespace, pod)


def _explain_pod(api: Api, job: Job, pod: Pod) -> Problem | None:
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled and scheduled.holds is False and scheduled.reason == "Unschedulable":
        nodes = _read_nodes(api, int(time.monotonic() // NODES_INTERVAL_S))
        return scheduling.explain_unschedulable(scheduled.message, scheduling.parse_wanted(job.pod_spec), nodes)
    return diagnosis.explain_waiting(pod.waiting)


def _explain_events(api: Api, namespace: str, pod: Pod) -> Problem | None:
    """Return the first problem that the warnings about a pod explain."""
    found = (
        diagnosis.explain_warning(event["reason"], event["message"])
        for event in _list_warnings(api, namespace, f"name={pod.name}")
    )
    return next(filter(None, found), None)


def _list_warnings(api: Api, namespace: str, selector: str) -> list[JsonObject]:
    """Return the warnings about an object, the newest first; an empty list if the user may not read events."""
    selector = f"type=Warning,involvedObject.{selector}"
    try:
        events = list(api.list_items(core_path(namespace, "events"), fieldSelector=selector))
    except ApiError:
        return []
    return sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime")), reverse=True)


@functools.lru_cache(maxsize=1)
def _read_nodes(api: Api, period: int) -> tuple[scheduling.Node, ...] | None:  # noqa: ARG001 - cached for one period
    """Return the nodes; None if the user may not read them."""
    with suppress(ApiError):
        return scheduling.parse_nodes(api.list_items(NODES))
    return None
