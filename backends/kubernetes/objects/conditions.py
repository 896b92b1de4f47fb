"""Conditions: how Kubernetes describes the state of a Job or a pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from backends.kubernetes.client.client import JsonObject


@dataclass(frozen=True)
class Condition:
    """One condition. ``holds`` is whether it is true; None if Kubernetes does not know."""

    holds: bool | None
    reason: str
    message: str
    changed: datetime | None


def parse_conditions(status: JsonObject) -> Mapping[str, Condition]:
    """Return the conditions of a Job's or a pod's status by their type."""
    return {item["type"]: _parse_condition(item) for item in status.get("conditions") or []}


def _parse_condition(item: JsonObject) -> Condition:
    return Condition(
        holds={"True": True, "False": False}.get(item["status"]),
        reason=str(item.get("reason") or ""),
        message=str(item.get("message") or ""),
        changed=parse_time(item.get("lastTransitionTime")),
    )


def parse_time(text: str | None) -> datetime | None:
    """Return the time that Kubernetes wrote."""
    return datetime.fromisoformat(text) if text else None
