"""Finds out from Kueue why a Job waits in its queue.

Kueue suspends a Job until its queue admits it, and again when it is preempted. Why is in the conditions of the Workload
that Kueue makes for the Job: https://kueue.sigs.k8s.io/docs/concepts/workload/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError
from backends.kubernetes.client.paths import KUEUE, workloads_path
from backends.kubernetes.objects.conditions import Condition, parse_conditions
from backends.kubernetes.objects.job import Job
from backends.problem import Problem

LABEL_JOB = "kueue.x-k8s.io/job-uid"
_STARTS = "it starts as soon as the queue admits it"
_NEVER = "the queue never admits it: ask for less (a lower --parallelism, for example), or choose another --queue"
_IN_USE = re.compile(r"insufficient unused quota for (\S+) in flavor (\S+), (\S+) more needed")
_TOO_MUCH = re.compile(
    r"insufficient quota for (\S+) in flavor \S+, .*?current podset request \((\S+?)\) > maximum capacity \((\S+?)\)"
)
_MISSING = re.compile(r"(?:Local|Cluster)Queue \S+ doesn't exist")
_PREEMPTED = {
    "InClusterQueue": "for a job of higher priority",
    "InCohortReclamation": "because another queue took its quota back",
    "InCohortReclaimWhileBorrowing": "because another queue took its quota back",
    "InCohortFairSharing": "because another queue had less than its fair share",
}


def describe_queue(job: Job) -> Problem:
    """Return that a suspended Job waits, without asking Kueue why."""
    return Problem(message=f"the job waits in the queue {job.queue!r}", hint=_STARTS)


def explain_queue(api: Api, namespace: str, job: Job) -> Problem:
    """Return why a suspended Job waits in its queue, as far as the user may read it."""
    wait = describe_queue(job)
    conditions = _read_conditions(api, namespace, job)
    reserved = conditions.get("QuotaReserved")
    if not reserved or reserved.holds:
        return wait
    evicted = conditions.get("Evicted")
    begin = _describe_preemption(conditions) if evicted and evicted.holds and evicted.reason == "Preempted" else ""
    reason, hint = _explain_message(reserved.message, namespace)
    return Problem(message=f"{begin}{wait.message}{reason and ': '}{reason}", hint=hint)


def _read_conditions(api: Api, namespace: str, job: Job) -> Mapping[str, Condition]:
    """Return the conditions of the Job's Workload; none without Kueue, or for a user who may not read them."""
    try:
        version = api.get(KUEUE)["preferredVersion"]["version"]
        found = api.list_items(workloads_path(namespace, version), labelSelector=f"{LABEL_JOB}={job.uid}")
        return parse_conditions(next(found, {}).get("status", {}))
    except (ApiError, KeyError):
        return {}


def _describe_preemption(conditions: Mapping[str, Condition]) -> str:
    preempted = conditions.get("Preempted")
    reason = _PREEMPTED.get(preempted.reason, "") if preempted else ""
    return f"the job was preempted{reason and ' '}{reason}; what is finished stays; "


def _explain_message(message: str, namespace: str) -> tuple[str, str]:
    """Return the reason that Kueue gives, in plain words where it is a known one, and what the user can do."""
    if too_much := list(_TOO_MUCH.finditer(message)):
        resource, wanted, most = too_much[0].groups()
        reason = f"it asks for {wanted} {resource} at once, and the queue has {most} at most"
        return reason, _NEVER
    if in_use := list(_IN_USE.finditer(message)):
        missing = [f"{count} more {resource} (of {flavor})" for resource, flavor, count in (m.groups() for m in in_use)]
        return f"it needs {' and '.join(missing)} than is free in the quota", _STARTS
    if _MISSING.search(message):
        return message, f"`kubectl get localqueues -n {namespace}` lists the queues for --queue"
    return message.strip(), _STARTS
