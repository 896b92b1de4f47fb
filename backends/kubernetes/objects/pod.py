"""A pod, with only the fields that the backend reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from backends.kubernetes import names
from backends.kubernetes.client.client import JsonObject
from backends.kubernetes.objects.conditions import Condition, parse_conditions, parse_time


@dataclass(frozen=True)
class Waiting:
    """Why a container has not started: ``reason`` is Kubernetes' word, such as ErrImagePull, ``message`` a sentence."""

    reason: str
    message: str


@dataclass(frozen=True)
class Termination:
    """How a container ended: ``message`` is what it wrote to its termination log, or the end of its log."""

    exit_code: int
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One pod: it makes attempt number ``attempt`` of the units of the completion index ``index``."""

    name: str
    index: int
    phase: str
    created: str
    attempt: int
    ready: bool
    deleted: bool
    reason: str | None
    message: str | None
    conditions: Mapping[str, Condition]
    waiting: Waiting | None
    terminated: Termination | None
    started: bool
    started_at: datetime | None = None
    container: str = names.CONTAINER  # whose state and log this is

    @property
    def ended(self) -> bool:
        """Whether its container has ended."""
        return self.phase in {"Succeeded", "Failed"} or self.terminated is not None

    @property
    def succeeded(self) -> bool:
        """Whether its container has ended with exit code 0."""
        return self.terminated is not None and self.terminated.exit_code == 0

    @property
    def has_log(self) -> bool:
        """Whether its log can be read, now or in a moment."""
        return self.started or self.terminated is not None

    @property
    def holds_outputs(self) -> bool:
        """Whether it waits until its outputs are downloaded."""
        return self.ready and not self.ended


def parse_pod(item: JsonObject, container: str = names.CONTAINER) -> Pod:
    """Parse a pod that the API server sent; ``container`` names the container whose state is read."""
    metadata, status = item["metadata"], item.get("status", {})
    found = _find_failed_installer(status) or _find_container(status.get("containerStatuses"), container)
    state = found.get("state") or {}
    annotations = metadata.get("annotations") or {}
    return Pod(
        name=metadata["name"],
        index=_parse_number(annotations.get(names.ANNOTATION_INDEX)),
        phase=status.get("phase", "Pending"),
        created=metadata["creationTimestamp"],
        attempt=_parse_number(annotations.get(names.ANNOTATION_FAILURES)) + 1,
        ready=bool(found.get("ready")),
        deleted="deletionTimestamp" in metadata,
        reason=status.get("reason"),
        message=status.get("message"),
        conditions=parse_conditions(status),
        waiting=_parse_waiting(_find_waiting(status, state)),
        terminated=_parse_termination(state.get("terminated")),
        started="running" in state,
        started_at=parse_time((state.get("running") or {}).get("startedAt")),
        container=found.get("name", container),
    )


def _find_container(found: Iterable[JsonObject] | None, name: str) -> JsonObject:
    return next((each for each in found or [] if each["name"] == name), {})


def _find_failed_installer(status: JsonObject) -> JsonObject | None:
    """Return the container that installs packages, if it has failed: the one of the job never starts then."""
    found = _find_container(status.get("initContainerStatuses"), names.PACKAGES_CONTAINER)
    ended = (found.get("state") or {}).get("terminated")
    return found if ended and ended["exitCode"] else None


def _parse_number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0


def _find_waiting(status: JsonObject, state: JsonObject) -> JsonObject | None:
    """Return the state of the container that waits: of the one before it where the container waits for that."""
    before = [each.get("state") or {} for each in status.get("initContainerStatuses") or []]
    if "running" in (_find_container(status.get("initContainerStatuses"), names.PACKAGES_CONTAINER).get("state") or {}):
        return {"reason": "InstallingPackages"}
    found: JsonObject | None = state.get("waiting")
    if before and (found is None or found.get("reason") == "PodInitializing"):
        return next((each["waiting"] for each in before if "waiting" in each), found)
    return found


def _parse_waiting(state: JsonObject | None) -> Waiting | None:
    return Waiting(str(state.get("reason") or ""), str(state.get("message") or "")) if state else None


def _parse_termination(state: JsonObject | None) -> Termination | None:
    if not state:
        return None
    return Termination(int(state["exitCode"]), str(state.get("reason") or ""), str(state.get("message") or ""))


def select_latest(pods: Iterable[Pod]) -> Mapping[int, Pod]:
    """Return the pod of the last attempt of each completion index."""
    latest: dict[int, Pod] = {}
    for pod in pods:
        known = latest.get(pod.index)
        if known is None or _sort_key(pod) > _sort_key(known):
            latest[pod.index] = pod
    return latest


def _sort_key(pod: Pod) -> tuple[int, bool, str, str]:
    return pod.attempt, not pod.ended, pod.created, pod.name
