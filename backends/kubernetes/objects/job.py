"""A Job of Kubernetes, with only the fields that the backend reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from backends.kubernetes import names
from backends.kubernetes.client.client import JsonObject
from backends.kubernetes.objects.conditions import Condition, parse_conditions, parse_time

REMOVED = "Removed"  # the reason with which a record's Job has ended; none of Kubernetes' own


@dataclass(frozen=True, kw_only=True)
class Job:
    """One Job. ``units`` are the names of its units; ``completed`` and ``failed`` are indexes of them."""

    name: str
    uid: str
    created: datetime | None
    deleted: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    conditions: Mapping[str, Condition]
    units: tuple[str, ...]
    completed: frozenset[int]
    failed: frozenset[int]
    has_ready_pods: bool
    suspended: bool
    deadline_s: int | None
    most_failed: int | None
    pod_spec: JsonObject

    @property
    def title(self) -> str:
        """The name that the user gave."""
        return self.annotations.get(names.ANNOTATION_NAME, self.name)

    @property
    def managed(self) -> bool:
        """Whether renderer created it."""
        return self.labels.get(names.LABEL_MANAGED) == names.MANAGER

    @property
    def store(self) -> str | None:
        """The URI of its store."""
        return self.annotations.get(names.ANNOTATION_STORE)

    @property
    def queue(self) -> str | None:
        """The Kueue queue that it waits in."""
        return self.labels.get(names.LABEL_QUEUE)

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return names.ANNOTATION_CANCELLED in self.annotations

    @property
    def succeeded(self) -> bool:
        """Whether all units have succeeded."""
        return self._holds("Complete")

    @property
    def end(self) -> Condition | None:
        """The condition that ended it."""
        return next((self.conditions[kind] for kind in ("Complete", "Failed") if self._holds(kind)), None)

    @property
    def ended(self) -> bool:
        """Whether the Job has ended. One that was cancelled while suspended never gets a condition that says so."""
        return self.end is not None or (self.cancelled and self.suspended)

    @property
    def removed(self) -> bool:
        """Whether it comes from a record of this machine: the cluster has deleted it."""
        return self.end is not None and self.end.reason == REMOVED

    @property
    def exceeded_deadline_s(self) -> int | None:
        """The deadline in seconds if the Job failed because of it; otherwise None."""
        end = self.end
        return self.deadline_s if end and end.reason == "DeadlineExceeded" else None

    @property
    def max_failed(self) -> int | None:
        """How many units may fail, if the Job was ended because more did; otherwise None."""
        end = self.end
        return self.most_failed if end and end.reason == "MaxFailedIndexesExceeded" else None

    @property
    def memory_limit(self) -> str | None:
        """The memory limit of one unit, such as 4096Mi."""
        limits: Mapping[str, str] = self.pod_spec["containers"][0].get("resources", {}).get("limits", {})
        return limits.get("memory")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the ConfigMaps with its inputs."""
        volumes: Iterable[JsonObject] = self.pod_spec.get("volumes") or ()
        sources = next((each["projected"]["sources"] for each in volumes if "projected" in each), ())
        return tuple(source["configMap"]["name"] for source in sources)

    @property
    def owner_reference(self) -> JsonObject:
        """The owner reference to put into another object, so that Kubernetes deletes it together with this Job."""
        return {"apiVersion": "batch/v1", "kind": "Job", "name": self.name, "uid": self.uid}

    def has_ended(self, unit: int) -> bool:
        """Return whether a unit has ended, or its Job has."""
        return self.ended or unit in self.completed or unit in self.failed

    def _holds(self, kind: str) -> bool:
        return kind in self.conditions and self.conditions[kind].holds is True


def parse_job(item: JsonObject) -> Job:
    """Return the Job that the API server sent, or that a manifest describes."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status", {})
    annotations = metadata.get("annotations") or {}
    return Job(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        created=parse_time(metadata.get("creationTimestamp")),
        deleted="deletionTimestamp" in metadata,
        labels=metadata.get("labels") or {},
        annotations=annotations,
        conditions=parse_conditions(status),
        units=_parse_units(annotations, spec.get("completions") or 1),
        completed=frozenset(_parse_indexes(status.get("completedIndexes"))),
        failed=frozenset(_parse_indexes(status.get("failedIndexes"))),
        has_ready_pods=bool(status.get("ready")),
        suspended=bool(spec.get("suspend")),
        deadline_s=spec.get("activeDeadlineSeconds"),
        most_failed=spec.get("maxFailedIndexes"),
        pod_spec=spec["template"]["spec"],
    )


def _parse_units(annotations: Mapping[str, str], count: int) -> tuple[str, ...]:
    try:
        found = json.loads(annotations.get(names.ANNOTATION_UNITS, "[]"))
    except (ValueError, RecursionError):
        found = []
    return tuple(map(str, found if isinstance(found, list) and len(found) == count else range(count)))


def _parse_indexes(text: str | None) -> Iterator[int]:
    """Parse a set of indexes in Kubernetes' notation: ``0-2,5`` yields 0, 1, 2 and 5."""
    for span in (text or "").split(","):
        first, _, last = span.partition("-")
        if first:
            yield from range(int(first), int(last or first) + 1)
