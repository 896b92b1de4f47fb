"""A Job of Kubernetes, with only the fields that the backend reads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from backends.kubernetes import names
from backends.kubernetes.client.client import JsonObject
from backends.kubernetes.objects.conditions import Condition, parse_conditions, parse_time
from backends.untrusted.unit_states import count_indexes, parse_indexes

REMOVED = "Removed"  # the reason with which a record's Job has ended; none of Kubernetes' own

LARGE = 500  # pods


@dataclass(frozen=True, kw_only=True)
class Job:
    """One Job of ``count`` units, of which ``per_pod`` share a pod.

    ``names`` are the units' names, if they are known. ``completed_pods`` and ``failed_pods`` are completion indexes.

    With ``shards``, the units are as many pods that render one scene together; see backends.chunk_store.shards.
    """

    name: str
    uid: str
    created: datetime | None
    deleted: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    conditions: Mapping[str, Condition]
    names: tuple[str, ...] | None
    count: int
    per_pod: int
    completed_indexes: str
    failed_indexes: str
    has_ready_pods: bool
    suspended: bool
    deadline_s: int | None
    most_failed: int | None
    pod_spec: JsonObject
    shards: int | None = None

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The names of the units, or their indexes."""
        return self.names or tuple(map(str, range(self.count)))

    @cached_property
    def completed_pods(self) -> frozenset[int]:
        """The completion indexes whose pods have succeeded."""
        return frozenset(parse_indexes(self.completed_indexes, self.count))

    @cached_property
    def failed_pods(self) -> frozenset[int]:
        """The completion indexes that have failed for good."""
        return frozenset(parse_indexes(self.failed_indexes, self.count))

    @property
    def is_large(self) -> bool:
        """Whether it has so many pods that not all of them are read."""
        return math.ceil(self.count / self.per_pod) > LARGE

    @property
    def ended_count(self) -> int:
        """How many units have ended."""
        if self.ended:
            return self.count
        pods = count_indexes(self.completed_indexes) + count_indexes(self.failed_indexes)
        return min(pods * self.per_pod, self.count)

    @property
    def failed_count(self) -> int:
        """How many units have failed. Of several units in a pod that failed, one counts: the Job knows no more."""
        if self.succeeded:
            return 0
        if self.ended and not self.cancelled:  # a unit that had not ended when its Job did has failed as well
            return math.ceil(self.count / self.per_pod) - count_indexes(self.completed_indexes)
        return count_indexes(self.failed_indexes)

    def pod_of(self, unit: int) -> int:
        """Return the completion index of the pods that run a unit."""
        return unit // self.per_pod

    def units_of(self, index: int) -> range:
        """Return the units that the pods of a completion index run."""
        return range(index * self.per_pod, min((index + 1) * self.per_pod, self.count))

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
    def marks(self) -> Mapping[str, str]:
        """The labels, and the annotation with the URL of a webhook, which is too long for a label."""
        url = self.annotations.get(names.ANNOTATION_WEBHOOK)
        return {**self.labels, names.ANNOTATION_WEBHOOK: url} if url else self.labels

    @property
    def shelf(self) -> str | None:
        """The URI of the store into which others put what they download from its pods; only without a ``store``."""
        return None if self.store else self.annotations.get(names.ANNOTATION_SHELF)

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
        sources = next(
            (each["projected"]["sources"] for each in volumes if each["name"] == "inputs" and "projected" in each), ()
        )
        return tuple(source["configMap"]["name"] for source in sources)

    @property
    def owner_reference(self) -> JsonObject:
        """The owner reference to put into another object, so that Kubernetes deletes it together with this Job."""
        return {"apiVersion": "batch/v1", "kind": "Job", "name": self.name, "uid": self.uid}

    def has_ended(self, unit: int) -> bool:
        """Return whether a unit has ended, or its Job has."""
        return self.ended or self.pod_of(unit) in self.completed_pods or self.pod_of(unit) in self.failed_pods

    def _holds(self, kind: str) -> bool:
        return kind in self.conditions and self.conditions[kind].holds is True


def parse_job(item: JsonObject) -> Job:
    """Return the Job that the API server sent, or that a manifest describes."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status", {})
    annotations = metadata.get("annotations") or {}
    count, per_pod = _parse_division(annotations, spec.get("completions") or 1)
    return Job(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        created=parse_time(metadata.get("creationTimestamp")),
        deleted="deletionTimestamp" in metadata,
        labels=metadata.get("labels") or {},
        annotations=annotations,
        conditions=parse_conditions(status),
        names=_parse_names(annotations, count),
        count=count,
        per_pod=per_pod,
        completed_indexes=status.get("completedIndexes") or "",
        failed_indexes=status.get("failedIndexes") or "",
        has_ready_pods=bool(status.get("ready")),
        suspended=bool(spec.get("suspend")),
        deadline_s=spec.get("activeDeadlineSeconds"),
        most_failed=spec.get("maxFailedIndexes"),
        pod_spec=spec["template"]["spec"],
        shards=_parse_shards(annotations, spec.get("completions") or 1),
    )


def _parse_division(annotations: Mapping[str, str], completions: int) -> tuple[int, int]:
    """Return the number of units and how many share a pod: as the annotations say, if they agree with the Job."""
    texts = annotations.get(names.ANNOTATION_COUNT, ""), annotations.get(names.ANNOTATION_PER_POD, "")
    if all(text.isascii() and text.isdecimal() and len(text) < 10 for text in texts):  # noqa: PLR2004
        count, per_pod = map(int, texts)
        if per_pod and math.ceil(count / per_pod) == completions:
            return count, per_pod
    return completions, 1


def _parse_names(annotations: Mapping[str, str], count: int) -> tuple[str, ...] | None:
    try:
        found = json.loads(annotations.get(names.ANNOTATION_UNITS, "[]"))
    except (ValueError, RecursionError):
        return None
    if _parse_shards(annotations, count) and isinstance(found, list) and len(found) == 1:
        found = found * count
    return tuple(map(str, found)) if isinstance(found, list) and len(found) == count else None


def _parse_shards(annotations: Mapping[str, str], count: int) -> int | None:
    return count if annotations.get(names.ANNOTATION_SHARDS) == str(count) else None
