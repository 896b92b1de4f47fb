"""Explains why no node accepts a pod.

The scheduler tells for each group of nodes one reason. What decides is the group that the user can mend first: a GPU
that is in use becomes free, but a taint, a cordoned node or a GPU that no node has stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backends.gpus.catalog import GPUS
from backends.kubernetes import names
from backends.kubernetes.client.client import JsonObject
from backends.kubernetes.observe.diagnosis_rules import Rule, apply_first
from backends.problem import Problem

NO_GPUS = "no NVIDIA GPUs"
# Taints that say something about the node itself; the other ones keep it for somebody.
_SYSTEM_TAINTS = ("node.kubernetes.io/", "node-role.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_TAINT = r"untolerated taint(?:\(s\))? \{([^:}]*)"
_VOLUMES = (
    Rule(
        r"persistentvolumeclaim .* not found",
        "the PVC does not exist: {0}",
        "correct --store, or create the PVC: `renderer setup k8s --claim NAME --apply`",
    ),
    Rule(
        r"unbound immediate PersistentVolumeClaims",
        "the PVC does not have a volume yet: {0}",
        "`kubectl describe pvc` says why",
    ),
)
_OTHERS = (
    Rule(
        r"Insufficient (nvidia|amd|gpu)[^ ,.]*",
        "all GPUs are in use: {0}",
        "the job starts when one is free; --gpu L4,T4 also accepts other models",
    ),
    Rule(
        r"affinity/selector",
        "no node has those labels: {0}",
        "change --node-selector, or choose a GPU that the nodes have with --gpu",
    ),
    Rule(
        r"untolerated taint",
        "the nodes have a taint that the pod does not tolerate: {0}",
        "add a toleration for it in the --patch file",
    ),
    Rule(r"were unschedulable", "the nodes are cordoned: {0}", "`kubectl uncordon NODE` opens a node again"),
    Rule(
        r"Insufficient",
        "no node has enough free resources: {0}",
        "ask for less: --cpu, --memory, --ephemeral-storage",
    ),
    Rule(r"", "no node accepts the pod: {0}", "`kubectl describe nodes` shows what the nodes offer"),
)


@dataclass(frozen=True)
class Wanted:
    """The GPUs that a pod requests: the resource with its count, and the products that will do (none: any).

    ``sizes`` are its other requests: CPU in cores, memory and disk in bytes.
    """

    resource: str | None = None
    count: int = 0
    products: frozenset[str] = frozenset()
    sizes: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the names of the GPUs as --gpu has them."""
        known = {gpu.name: frozenset(gpu.labels) for gpu in GPUS.values()}
        found = [name for name, labels in known.items() if labels & self.products]
        others = self.products - frozenset().union(*known.values())
        shared = {f"{product}-SHARED" for product in others}
        return " or ".join([*found, *sorted(others - shared)])


@dataclass(frozen=True)
class Node:
    """A node: the product of its GPUs, how many it has, the taints that may keep a pod off it, and its ``sizes``."""

    product: str
    counts: tuple[tuple[str, int], ...]
    taints: frozenset[str]
    sizes: Mapping[str, float]

    def has(self, wanted: Wanted) -> bool:
        """Return whether it has the GPUs, in use or not; it has those of a pod that requests none."""
        fits = not wanted.products or self.product in wanted.products
        return fits and dict(self.counts).get(wanted.resource or "", 0) >= wanted.count


def parse_wanted(pod_spec: JsonObject) -> Wanted:
    """Return what a pod asks for."""
    limits = pod_spec["containers"][0].get("resources", {}).get("limits", {})
    resource = next((key for key in limits if key.startswith("nvidia.com/")), None)
    required = (pod_spec.get("affinity") or {}).get("nodeAffinity", {}).get(_REQUIRED, {})
    products = [
        value
        for term in required.get("nodeSelectorTerms", [])
        for expression in term.get("matchExpressions", [])
        if expression.get("key") == names.GPU_PRODUCT and expression.get("operator") == "In"
        for value in expression.get("values", [])
    ]
    sidecars = [each for each in pod_spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    requests = [
        _parse_sizes(each.get("resources", {}).get("requests")) for each in (*pod_spec["containers"], *sidecars)
    ]
    sizes = {name: sum(each.get(name, 0) for each in requests) for name in _SIZES if name in requests[0]}
    return Wanted(resource, int(limits[resource]) if resource else 0, frozenset(products), sizes)


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def parse_nodes(nodes: Iterable[JsonObject]) -> tuple[Node, ...]:
    """Return the nodes that the API server sent."""
    return tuple(map(_parse_node, nodes))


def _parse_node(item: JsonObject) -> Node:
    allocatable = item.get("status", {}).get("allocatable") or {}
    counts = [(key, int(count)) for key, count in allocatable.items() if key.startswith("nvidia.com/") and int(count)]
    taints = [taint["key"] for taint in item.get("spec", {}).get("taints") or [] if taint["effect"] != _SOFT]
    product = (item["metadata"].get("labels") or {}).get(names.GPU_PRODUCT, "GPU of unknown product")
    return Node(product, tuple(counts), frozenset(taints), _parse_sizes(allocatable))


_SOFT = "PreferNoSchedule"


def _parse_sizes(resources: JsonObject | None) -> dict[str, float]:
    """Return the quantities of CPU, memory and disk; one that cannot be read counts for nothing."""
    found = {name: _QUANTITY.fullmatch(str(text)) for name, text in (resources or {}).items() if name in _SIZES}
    return {name: float(match[1]) * _FACTORS[match[2]] for name, match in found.items() if match}


_SIZES = {"cpu": "CPU", "memory": "memory", "ephemeral-storage": "disk"}
_FACTORS = {"": 1.0, "m": 1e-3, **{letter: 1e3**power for power, letter in enumerate("kMGT", 1)}}
_FACTORS |= {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", 1)}
_QUANTITY = re.compile(rf"(\d+(?:\.\d+)?(?:e\d+)?)({'|'.join(_FACTORS)})")


def describe_gpus(nodes: Iterable[Node]) -> str:
    """Return which GPUs the nodes have, such as "2 of Tesla-T4, 8 of NVIDIA-L4"."""
    sums: dict[str, int] = {}
    for node in nodes:
        for resource, count in node.counts:
            kind = resource.removeprefix("nvidia.com/")
            title = node.product if kind == "gpu" else f"{node.product} {kind}"
            sums[title] = sums.get(title, 0) + count
    return ", ".join(f"{count} of {title}" for title, count in sorted(sums.items())) or NO_GPUS


def explain_unschedulable(text: str, wanted: Wanted | None = None, nodes: tuple[Node, ...] | None = None) -> Problem:
    """Return why no node accepts a pod; ``nodes`` is None if they are not known."""
    reason = re.split(" (?:no new claims to deallocate, )?preemption:", text, maxsplit=1)[0].strip()
    if any(re.search(rule.pattern, reason) for rule in _VOLUMES):
        return apply_first(_VOLUMES, reason)
    too_large = _explain_too_large(reason, wanted, nodes or ()) if wanted else None
    if too_large or wanted is None or not wanted.resource:
        return too_large or apply_first(_OTHERS, reason)
    if nodes is None:
        return _explain_unseen(reason, wanted)
    reason = f"{reason} The nodes have {describe_gpus(nodes)}."
    fitting = [node for node in nodes if node.has(wanted)]
    if not fitting:
        return _explain_missing(reason, wanted, nodes)
    closed = _find_closed(reason)
    if all(node.taints & closed for node in fitting):
        return _explain_closed(reason, closed.intersection(*(node.taints for node in fitting)) or closed)
    return apply_first(_OTHERS, reason)


def _explain_too_large(reason: str, wanted: Wanted, nodes: Iterable[Node]) -> Problem | None:
    """Return that no node, of those that have the GPUs, has as much of something as the pod asks for."""
    fitting = [node for node in nodes if node.has(wanted)]
    for name, asked in wanted.sizes.items():
        most = max((node.sizes.get(name, 0.0) for node in fitting), default=asked)
        if asked > most and f"Insufficient {name}" in reason:
            shown = [f"{each:g}" if name == "cpu" else f"{each / 2**30:.1f}Gi" for each in (asked, most)]
            message = f"no node has so much {_SIZES[name]}: the pod asks for {shown[0]}, the largest has {shown[1]}"
            return Problem(message=f"{message}: {reason}", hint=f"ask for less: --{name}")
    return None


def _explain_missing(reason: str, wanted: Wanted, nodes: tuple[Node, ...]) -> Problem:
    what = str(wanted)
    if wanted.count > 1 and any(node.has(Wanted(wanted.resource, 1, wanted.products)) for node in nodes):
        what = f"{wanted.count} {what}".strip() + ("" if what else " GPUs")
        return Problem(message=f"no single node has {what}: {reason}", hint="ask for fewer; a unit runs on one node")
    kind = (wanted.resource or "").removeprefix("nvidia.com/")
    what = what or ("GPU" if kind == "gpu" else kind)
    return Problem(
        message=f"the nodes have no {what}: {reason}",
        hint="choose with --gpu one that the nodes have; nodes need NVIDIA's device plugin to offer theirs",
    )


def _explain_closed(reason: str, keys: frozenset[str]) -> Problem:
    if keys == {_UNSCHEDULABLE}:
        return Problem(
            message=f"every node with such a GPU is cordoned: {reason}", hint="`kubectl uncordon NODE` opens it again"
        )
    shown = ", ".join(sorted(keys))
    return Problem(
        message=f"every node with such a GPU has a taint that the pod does not tolerate ({shown}): {reason}",
        hint="add a toleration for it in the --patch file",
    )


def _explain_unseen(reason: str, wanted: Wanted) -> Problem:
    """Return what can be said if the nodes may not be read: both ways out, where there can be two."""
    foreign = [key for key in _find_closed(reason) if not key.startswith(_SYSTEM_TAINTS)]
    if foreign and re.search(r"Insufficient nvidia|affinity/selector", reason):
        return Problem(
            message=f"no node has a free {wanted or 'GPU'}, or its taint keeps the pod off: {reason}",
            hint="add a toleration for the taint in the --patch file; otherwise the job starts when a GPU is free",
        )
    if wanted.products and "affinity/selector" in reason and "Insufficient nvidia" not in reason:
        return Problem(message=f"the nodes have no {wanted}: {reason}", hint="choose another GPU with --gpu")
    return apply_first(_OTHERS, reason)


def _find_closed(reason: str) -> frozenset[str]:
    """Return the keys of the taints that the scheduler names."""
    keys = re.findall(_TAINT, reason)
    return frozenset([*keys, *([_UNSCHEDULABLE] if "were unschedulable" in reason else [])])
