"""A Job and its pods at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.kubernetes.objects.job import Job
from backends.kubernetes.objects.pod import Pod


@dataclass(frozen=True)
class JobSnapshot:
    """A Job, and the pod of the last attempt of each completion index."""

    job: Job
    pods: Mapping[int, Pod] = field(default_factory=dict)
