"""Why something waits or failed, in words; the words themselves stand in the tables of rules.py."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from backends.exit_codes import MEANINGS, ExitCode
from backends.kubernetes import names
from backends.kubernetes.observe.diagnosis_rules import (
    CREATE,
    DISRUPTIONS,
    EVENTS,
    SCHEDULE,
    WAITING,
    WAITING_ALIASES,
    Rule,
    Why,
)
from backends.kubernetes.observe.unit_pods import Pod
from backends.worker_protocol import directive

NO_GPUS = "no NVIDIA GPUs"


def cannot_create(text: str) -> Why:
    """Say why the Job has no pods."""
    return _first(CREATE, text)


def cannot_schedule(text: str, nodes: str | None) -> Why:
    """Say why no node takes a pod; ``nodes`` is what the nodes have."""
    return _first(
        SCHEDULE, text.split(" preemption:", maxsplit=1)[0].strip() + (f" The nodes have {nodes}." if nodes else "")
    )


def cannot_start(waiting: Mapping[str, Any]) -> Why | None:
    """Say why a container waits; None when it is only being made."""
    reason = str(waiting.get("reason"))
    rules = WAITING.get(WAITING_ALIASES.get(reason, reason))
    return _first(rules, _tidy(str(waiting.get("message") or reason))) if rules else None


def warning(reason: str, text: str) -> Why | None:
    """Say what a warning about a pod means; None for one that means little."""
    return EVENTS[reason].apply(_tidy(text)) if reason in EVENTS else None


def failed(pod: Pod, memory: str | None) -> Why:
    """Say why a unit's pod failed; ``memory`` is its limit."""
    disruption = pod.conditions.get("DisruptionTarget", {})
    code = pod.terminated.get("exitCode")
    if pod.reason == "Evicted":
        hint = "ask for more: --memory, --ephemeral-storage"
        return Why(message=f"the node evicted the pod: {_tidy(pod.message or '')}", hint=hint, exit_code=ExitCode.LOST)
    if disruption.get("status") == "True":
        words = DISRUPTIONS.get(
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
    """Say which GPUs the nodes have: "2 of Tesla-T4, 8 of NVIDIA-L4"."""
    found: dict[str, int] = {}
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        for resource, count in (node.get("status", {}).get("allocatable") or {}).items():
            if resource.startswith("nvidia.com/") and int(count):
                kind = resource.removeprefix("nvidia.com/")
                product = labels.get(names.GPU_PRODUCT, "GPU of unknown product")
                found_as = product if kind == "gpu" else f"{product} {kind}"
                found[found_as] = found.get(found_as, 0) + int(count)
    return ", ".join(f"{count} of {product}" for product, count in sorted(found.items())) or NO_GPUS


def _first(rules: Iterable[Rule], text: str) -> Why:
    return next(rule for rule in rules if re.search(rule.pattern, text)).apply(text)


def _tidy(text: str) -> str:
    """Cut the wrapping that Kubernetes puts around what matters."""
    text = re.sub(r"(rpc error: code = \w+ desc = )|(Back-off pulling image \"[^\"]*\": ErrImagePull: )", "", text)
    return re.sub(r"\s+", " ", text).strip()[:600]
