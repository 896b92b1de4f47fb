"""Why something waits or failed, in words: tables from what Kubernetes says to a sentence and the next thing to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backends.contract import directive
from backends.exit_codes import MEANINGS, ExitCode
from backends.kubernetes import names
from backends.kubernetes.units import Pod


@dataclass(frozen=True, kw_only=True)
class Why:
    """A sentence, what to do next, the code that the command ends with; ``final`` when waiting will not help."""

    message: str
    hint: str | None = None
    details: str | None = None
    exit_code: int | None = None
    final: bool = False


@dataclass(frozen=True)
class _Rule:
    """Text of Kubernetes that the pattern matches becomes ``message``, in which {0} is the text."""

    pattern: str
    message: str
    hint: str | None = None
    final: bool = False

    def apply(self, text: str) -> Why:
        return Why(
            message=self.message.format(text),
            hint=self.hint,
            final=self.final,
            exit_code=ExitCode.BACKEND if self.final else None,
        )


# What keeps the Job's controller from making pods: its FailedCreate event.
_CREATE = (
    _Rule(r"exceeded quota", "the namespace's quota is used up: {0}", "wait for other jobs, or ask for less: --memory, --cpu, --parallelism"),
    _Rule(r"violates PodSecurity", "the namespace's Pod Security refuses the pod: {0}", "take back what --patch or the image asks for", final=True),
    _Rule(r"RuntimeClass.*not found", "the cluster has no such RuntimeClass: {0}", "--runtime-class none, or `renderer setup k8s` makes the class", final=True),
    _Rule(r"serviceaccount .*not found", "{0}", "create that ServiceAccount, or leave --service-account out"),
    _Rule(r"PriorityClass", "the cluster has no such PriorityClass: {0}", "`kubectl get priorityclass` lists them", final=True),
    _Rule(r"", "no pod can be made: {0}", "ask who runs the cluster"),
)  # fmt: skip
# What the scheduler says of a pod that it can place nowhere.
_SCHEDULE = (
    _Rule(r"persistentvolumeclaim .* not found", "the claim is not there: {0}", "`renderer setup k8s --claim NAME` prints one"),
    _Rule(r"unbound immediate PersistentVolumeClaims", "the claim has no volume yet: {0}", "`kubectl describe pvc` tells why"),
    _Rule(r"Insufficient (nvidia|amd|gpu)[^ ,.]*", "no GPU is free: {0}", "it starts when one is; another GPU: --gpu L4,T4"),
    _Rule(r"affinity/selector", "no node has that GPU or those labels: {0}", "choose a GPU that the nodes have: --gpu"),
    _Rule(r"untolerated taint", "nodes refuse the pod by a taint: {0}", "a toleration for it goes into --patch"),
    _Rule(r"Insufficient", "no node has that much to spare: {0}", "ask for less: --cpu, --memory, --ephemeral-storage"),
    _Rule(r"", "no node takes the pod: {0}", "`kubectl describe nodes` tells what they have"),
)  # fmt: skip
# Why a container does not start: its waiting reason, with the message behind.
_PULL_HINT = "check --image; a private registry needs --image-pull-secrets"
_WAITING: Mapping[str, tuple[_Rule, ...]] = {
    "ErrImagePull": (
        _Rule(r"(?i)not found|does not exist|unauthorized|denied|forbidden|authentication required", "the image cannot be pulled: {0}", _PULL_HINT, final=True),
        _Rule(r"", "the image cannot be pulled, and is tried again: {0}", _PULL_HINT),
    ),
    "InvalidImageName": (_Rule(r"", "the image's name is wrong: {0}", _PULL_HINT, final=True),),
    "ErrImageNeverPull": (_Rule(r"", "the image is not on the node: {0}", "--image-pull-policy IfNotPresent pulls it", final=True),),
    "CreateContainerConfigError": (_Rule(r"", "the container cannot start: {0}", "create what is missing; the job then goes on by itself"),),
    "CreateContainerError": (_Rule(r"", "the container cannot start: {0}", "has the image Python and renderer? build it from docker/"),),
    "RunContainerError": (_Rule(r"", "the container cannot start: {0}", "has the image Python and renderer? build it from docker/"),),
}  # fmt: skip
_WAITING_ALIASES = {"ImagePullBackOff": "ErrImagePull", "RegistryUnavailable": "ErrImagePull"}
# Warnings about a pod that is placed and does not start.
_EVENTS: Mapping[str, _Rule] = {
    "FailedMount": _Rule("", "a volume cannot be mounted: {0}", "`kubectl describe pod` shows all of it"),
    "FailedAttachVolume": _Rule("", "a volume cannot be attached: {0}", "is another node using the claim?"),
    "FailedCreatePodSandBox": _Rule("", "the node cannot start the pod: {0}", "ask who runs the cluster"),
    "UnexpectedAdmissionError": _Rule("", "the node refused the pod: {0}", "it is tried again on --retries"),
}
# Who took the pod away: the reason of its DisruptionTarget condition.
_DISRUPTIONS: Mapping[str, str] = {
    "EvictionByEvictionAPI": "the pod was evicted, as when a node is drained",
    "PreemptionByScheduler": "a job of higher priority took the pod's place",
    "DeletionByTaintManager": "the node went away or was closed by a taint",
    "DeletionByPodGC": "the pod's node is gone",
    "TerminationByKubelet": "the node ended the pod: it ran out of a resource or shut down",
}


def cannot_create(text: str) -> Why:
    """Say why the Job has no pods."""
    return _first(_CREATE, text)


def cannot_schedule(text: str, nodes: str | None) -> Why:
    """Say why no node takes a pod; ``nodes`` is what the nodes have."""
    return _first(
        _SCHEDULE, text.split(" preemption:", maxsplit=1)[0].strip() + (f" The nodes have {nodes}." if nodes else "")
    )


def cannot_start(waiting: Mapping[str, Any]) -> Why | None:
    """Say why a container waits; None when it is only being made."""
    reason = str(waiting.get("reason"))
    rules = _WAITING.get(_WAITING_ALIASES.get(reason, reason))
    return _first(rules, _tidy(str(waiting.get("message") or reason))) if rules else None


def warning(reason: str, text: str) -> Why | None:
    """Say what a warning about a pod means; None for one that means little."""
    return _EVENTS[reason].apply(_tidy(text)) if reason in _EVENTS else None


def failed(pod: Pod, memory: str | None) -> Why:
    """Say why a unit's pod failed; ``memory`` is its limit."""
    disruption = pod.conditions.get("DisruptionTarget", {})
    code = pod.terminated.get("exitCode")
    if pod.reason == "Evicted":
        hint = "ask for more: --memory, --ephemeral-storage"
        return Why(message=f"the node evicted the pod: {_tidy(pod.message or '')}", hint=hint, exit_code=ExitCode.LOST)
    if disruption.get("status") == "True":
        words = _DISRUPTIONS.get(
            str(disruption.get("reason")), _tidy(str(disruption.get("message") or "the pod was taken away"))
        )
        return Why(message=words, hint="submit again; --retries does so by itself", exit_code=ExitCode.LOST)
    if pod.terminated.get("reason") == "OOMKilled":
        return _out_of_memory(memory)
    if code is None:
        said = _tidy(pod.message or pod.reason or "its node does not answer")
        return Why(message=f"the pod is gone: {said}", hint="submit again, or set --retries", exit_code=ExitCode.LOST)
    return _by_exit_code(code, str(pod.terminated.get("message") or ""), memory)


def _by_exit_code(code: int, said: str, memory: str | None) -> Why:
    words = _own_words(said)
    known = ExitCode(code) if code in set(ExitCode) else ExitCode.LOST
    if code == 128 + 9:
        message = "the container's first process was killed"
        return Why(message=message, hint="submit again; if it comes back, raise --memory", exit_code=ExitCode.LOST)
    if code == 128 + 11:
        return Why(
            message="the renderer crashed (segmentation fault)", details=words.get("details"), exit_code=ExitCode.LOST
        )
    if known is ExitCode.OUT_OF_MEMORY and not words:
        return _out_of_memory(memory)
    meaning = MEANINGS[known] if known == code else f"the container ended with exit code {code}"
    return Why(
        message=str(words.get("message") or meaning),
        hint=words.get("hint"),
        details=words.get("details"),
        exit_code=known,
    )


def _out_of_memory(memory: str | None) -> Why:
    limit = f" of {memory}" if memory else ""
    return Why(
        message=f"the render needed more memory than its limit{limit}",
        hint="raise it with --memory, or lower the resolution",
        exit_code=ExitCode.OUT_OF_MEMORY,
    )


def _own_words(said: str) -> dict[str, Any]:
    """Read what the pod left as its last words: our JSON, or the end of its log."""
    try:
        content = json.loads(said)
        return content if isinstance(content, dict) else {}
    except ValueError:
        pass
    lines = [line for line in said.splitlines() if line.strip()]
    failures = [found[1] for line in lines if (found := directive(line)) and found[0] == "fail"]
    return {"message": failures[-1] if failures else lines[-1], "details": "\n".join(lines)} if lines else {}


def of_nodes(nodes: Iterable[Mapping[str, Any]]) -> str:
    """Say which GPUs the nodes have: ``2 × Tesla-T4, 8 × NVIDIA-L4``."""
    found: dict[str, int] = {}
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        for resource, count in (node.get("status", {}).get("allocatable") or {}).items():
            if resource.startswith("nvidia.com/") and int(count):
                kind = resource.removeprefix("nvidia.com/")
                product = labels.get(names.GPU_PRODUCT, "GPU of unknown product")
                found_as = product if kind == "gpu" else f"{product} {kind}"
                found[found_as] = found.get(found_as, 0) + int(count)
    return ", ".join(f"{count} × {product}" for product, count in sorted(found.items())) or "no NVIDIA GPUs"


def _first(rules: Iterable[_Rule], text: str) -> Why:
    return next(rule for rule in rules if re.search(rule.pattern, text)).apply(text)


def _tidy(text: str) -> str:
    """Cut the wrapping that Kubernetes puts around what matters."""
    text = re.sub(r"(rpc error: code = \w+ desc = )|(Back-off pulling image \"[^\"]*\": ErrImagePull: )", "", text)
    return re.sub(r"\s+", " ", text).strip()[:600]
