"""A Job and its pods as the API server has them now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.kubernetes import names
from backends.kubernetes.client.client import Object
from backends.kubernetes.observe import unit_pods
from backends.kubernetes.observe.unit_pods import Pod


@dataclass(frozen=True)
class JobView:
    """A Job and the last pod of each of its units."""

    job: Object
    pods: Mapping[int, Pod]

    @property
    def name(self) -> str:
        """The Job's name."""
        return str(self.job["metadata"]["name"])

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to cancel it."""
        return names.ANNOTATION_CANCELLED in (self.job["metadata"].get("annotations") or {})

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        suspended = self.cancelled and bool(self.job["spec"].get("suspend"))
        return suspended or unit_pods.ended(self.job) is not None

    def over(self, unit: int) -> bool:
        """Whether nothing more will happen to a unit."""
        status = self.job.get("status", {})
        done = (*unit_pods.indexes(status.get("completedIndexes")), *unit_pods.indexes(status.get("failedIndexes")))
        return self.ended or unit in done

    @property
    def memory(self) -> str | None:
        """The memory limit of one unit."""
        limits: dict[str, str] = (
            self.job["spec"]["template"]["spec"]["containers"][0].get("resources", {}).get("limits", {})
        )
        return limits.get("memory")
