"""Explains why a job waits or failed; diagnosis_rules.py has the sentences."""

from __future__ import annotations

import re
from dataclasses import replace

from backends.exit_codes import MEANINGS, MORE_MEMORY, ExitCode
from backends.image.start_failures import explain_only_line, explain_start_failure
from backends.kubernetes.objects.pod import Pod, Termination, Waiting
from backends.kubernetes.objects.termination import parse_report
from backends.kubernetes.observe.diagnosis_rules import (
    CREATE,
    DISRUPTIONS,
    EVENTS,
    WAITING,
    WAITING_ALIASES,
    apply_first,
)
from backends.problem import Problem

KILLED = 128 + 9
SEGMENTATION_FAULT = 128 + 11
NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})
TEXT_LIMIT = 600


def explain_failed_create(text: str) -> Problem:
    """Return why the Job does not have any pods; ``text`` is the message of the FailedCreate event."""
    return apply_first(CREATE, text)


def explain_waiting(waiting: Waiting | None) -> Problem | None:
    """Return why a container does not start; None while it is only being created."""
    if waiting is None:
        return None
    rules = WAITING.get(WAITING_ALIASES.get(waiting.reason, waiting.reason))
    if rules and (problem := explain_start_failure(waiting.message)):
        return problem
    return apply_first(rules, _clean(waiting.message or waiting.reason)) if rules else None


def explain_warning(reason: str, text: str) -> Problem | None:
    """Return what a Warning event about a pod means; None for an event that does not explain anything."""
    return apply_first(EVENTS[reason], _clean(text)) if reason in EVENTS else None


def explain_failure(pod: Pod, memory_limit: str | None) -> Problem:
    """Return why a unit's pod failed."""
    if pod.reason == "Evicted":
        return Problem(
            message=f"the node evicted the pod: {_clean(pod.message or '')}",
            hint="ask for more: --memory, --ephemeral-storage",
            exit_code=ExitCode.LOST,
        )
    disruption = pod.conditions.get("DisruptionTarget")
    if disruption and disruption.holds:
        cause = DISRUPTIONS.get(disruption.reason, _clean(disruption.message or "the cluster took the pod away"))
        return Problem(message=cause, hint="submit again, or set --retries", exit_code=ExitCode.LOST)
    if pod.terminated is None:
        cause = _clean(pod.message or pod.reason or "its node does not answer")
        return Problem(
            message=f"the pod is gone: {cause}", hint="submit again, or set --retries", exit_code=ExitCode.LOST
        )
    return _explain_termination(pod.terminated, memory_limit)


def _explain_termination(ended: Termination, memory_limit: str | None) -> Problem:
    explain_image = explain_start_failure if ended.reason in NOT_STARTED else explain_only_line
    if problem := explain_image(ended.message):
        return problem
    report = parse_report(ended.message)
    if ended.reason == "OOMKilled" or ended.exit_code == ExitCode.OUT_OF_MEMORY:
        return _explain_out_of_memory(memory_limit)
    if ended.exit_code == KILLED:
        return _explain_kill(memory_limit)
    if ended.exit_code == SEGMENTATION_FAULT:
        message = "the renderer crashed (segmentation fault)"
        return Problem(message=message, details=report.details if report else None, exit_code=ExitCode.LOST)
    code = ExitCode(ended.exit_code) if ended.exit_code in set(ExitCode) else None
    if report:
        return replace(report, exit_code=code or ExitCode.LOST)
    message = MEANINGS[code] if code else f"the container ended with exit code {ended.exit_code}"
    return Problem(message=message, exit_code=code or ExitCode.LOST)


def _explain_out_of_memory(memory_limit: str | None) -> Problem:
    limit = f" of {memory_limit}" if memory_limit else ""
    return Problem(
        message=f"it needed more memory than its limit{limit}",
        hint=MORE_MEMORY,
        exit_code=ExitCode.OUT_OF_MEMORY,
    )


def _explain_kill(memory_limit: str | None) -> Problem:
    """Return the problem of a container that was killed by SIGKILL, for a reason that the runtime did not report.

    In most cases the kernel killed it because memory ran out, which a runtime can miss. But a node that fails, or an
    administrator, can also be the cause.
    """
    limit = f" (limit {memory_limit})" if memory_limit else ""
    return Problem(
        message=f"the container was killed, most likely because it ran out of memory{limit}: "
        "the cluster did not report the reason",
        hint="raise --memory, or set --retries if it was another cause",
        exit_code=ExitCode.LOST,
    )


def _clean(text: str) -> str:
    """Remove the phrases that Kubernetes puts around the message."""
    text = re.sub(r"(rpc error: code = \w+ desc = )|(Back-off pulling image \"[^\"]*\": ErrImagePull: )", "", text)
    return re.sub(r"\s+", " ", text).strip()[:TEXT_LIMIT]
