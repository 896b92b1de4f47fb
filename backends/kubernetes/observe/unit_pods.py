"""Pods and indexes of a Job as units: which try of each counts, and what is remembered of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backends.kubernetes import names
from backends.kubernetes.client.client import Object


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The little of a pod that we look at; a thousand of these are small."""

    name: str
    unit: int
    phase: str
    created: str
    attempt: int
    ready: bool
    deleted: bool
    reason: str | None
    message: str | None
    conditions: dict[str, Object]
    waiting: Object
    terminated: Object
    started: bool

    @property
    def ended(self) -> bool:
        """Whether its container is over."""
        return self.phase in {"Succeeded", "Failed"} or bool(self.terminated)

    @property
    def has_log(self) -> bool:
        """Whether there is a log to read, now or in a moment."""
        return self.started or bool(self.terminated)

    @property
    def collectable(self) -> bool:
        """Whether its outputs wait for somebody to collect them."""
        return self.ready and not self.ended


def pod(item: Object) -> Pod:
    """Read a pod as the API server gives it."""
    metadata, status = item["metadata"], item.get("status", {})
    container: Object = next((c for c in status.get("containerStatuses") or [] if c["name"] == names.CONTAINER), {})
    state = container.get("state") or {}
    annotations = metadata.get("annotations") or {}
    return Pod(
        name=metadata["name"],
        unit=int(annotations.get(names.INDEX, 0)),
        phase=status.get("phase", "Pending"),
        created=metadata["creationTimestamp"],
        attempt=int(annotations.get(names.FAILURES, 0)) + 1,
        ready=bool(container.get("ready")),
        deleted="deletionTimestamp" in metadata,
        reason=status.get("reason"),
        message=status.get("message"),
        conditions={condition["type"]: condition for condition in status.get("conditions") or []},
        waiting=state.get("waiting") or {},
        terminated=state.get("terminated") or {},
        started="running" in state,
    )


def latest(pods: Iterable[Pod]) -> dict[int, Pod]:
    """Give each unit's last try."""
    newest: dict[int, Pod] = {}
    for candidate in pods:
        known = newest.get(candidate.unit)
        if known is None or _order(candidate) > _order(known):
            newest[candidate.unit] = candidate
    return newest


def _order(candidate: Pod) -> tuple[int, bool, str, str]:
    return candidate.attempt, not candidate.ended, candidate.created, candidate.name


def indexes(text: str | None) -> Iterator[int]:
    """Read Kubernetes' way to write sets of indexes: ``0-2,5``."""
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first:
            yield from range(int(first), int(last or first) + 1)


def unit_names(job: Object) -> list[str]:
    """Give the names of a Job's units."""
    annotations = job["metadata"].get("annotations") or {}
    found: Any = json.loads(annotations.get(names.ANNOTATION_UNITS, "[]"))
    count = job["spec"].get("completions") or 1
    return [str(name) for name in found] if len(found) == count else [str(index) for index in range(count)]


def condition(job: Object, kind: str) -> Object | None:
    """Give a condition of a Job that holds."""
    conditions = job.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == kind and item["status"] == "True"), None)


def ended(job: Object) -> Object | None:
    """Give the condition that says that the Job is over."""
    return condition(job, "Complete") or condition(job, "Failed")


def owner(job: Object) -> Object:
    """Give the reference by which something goes with a Job."""
    metadata = job["metadata"]
    return {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}


def time(text: str | None) -> datetime | None:
    """Read Kubernetes' time."""
    return datetime.fromisoformat(text) if text else None
