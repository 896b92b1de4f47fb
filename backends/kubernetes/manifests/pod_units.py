"""Decides how many units share a pod."""

from __future__ import annotations

import math

from backends.errors import SpecError
from backends.kubernetes.options import KubernetesOptions
from backends.models import JobSpec

MOST_PODS = 500  # of a job without --units-per-pod
MOST_UNITS_PER_POD = 25  # without --units-per-pod


def choose_units_per_pod(spec: JobSpec, options: KubernetesOptions) -> int:
    """Return how many units each pod runs. Raises SpecError where --units-per-pod is not possible.

    Without the option, units share pods only where the job has more units than could run at the same time anyway.
    """
    chosen = options.units_per_pod
    if spec.shards and chosen not in {None, 1}:
        raise SpecError(
            "--units-per-pod cannot be used with --shards: each shard has a pod of its own",
            hint="leave one of them out",
        )
    if chosen is None:
        is_plain = not (spec.untrusted or spec.max_failed is not None or options.parallelism)
        return min(math.ceil(len(spec.units) / MOST_PODS), MOST_UNITS_PER_POD) if is_plain else 1
    if chosen > 1 and spec.untrusted:
        raise SpecError(
            "--units-per-pod cannot be used with --untrusted, which keeps units apart: each has a pod of its own",
            hint="leave --units-per-pod out",
        )
    if chosen > 1 and spec.max_failed is not None:
        raise SpecError(
            "--units-per-pod cannot be used with --max-failed: Kubernetes counts failed pods, not units",
            hint="leave one of them out",
        )
    return min(chosen, len(spec.units))
