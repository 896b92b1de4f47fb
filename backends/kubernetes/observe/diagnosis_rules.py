"""Tables that translate messages of Kubernetes into a Problem: what happened, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backends.exit_codes import ExitCode
from backends.problem import Problem


@dataclass(frozen=True)
class Rule:
    """One row of a table: translates the messages that ``pattern`` matches.

    ``{0}`` in ``message`` is replaced by Kubernetes' own text. ``final`` means that waiting does not help: then the
    problem has an exit code, and ends the job.
    """

    pattern: str
    message: str
    hint: str | None = None
    final: bool = False

    def apply(self, text: str) -> Problem:
        """Return the problem that ``text`` describes."""
        return Problem(
            message=self.message.format(text), hint=self.hint, exit_code=ExitCode.BACKEND if self.final else None
        )


def apply_first(rules: Iterable[Rule], text: str) -> Problem:
    """Return the problem of the first rule that matches. The last rule of each table matches every text."""
    return next(rule for rule in rules if re.search(rule.pattern, text)).apply(text)


# Messages of FailedCreate events: why the Job's controller cannot create pods.
CREATE = (
    Rule(
        r"exceeded quota",
        "the namespace's quota is used up: {0}",
        "wait for other jobs, or ask for less: --memory, --cpu, --parallelism",
    ),
    Rule(
        r"violates PodSecurity",
        "the namespace's Pod Security rejects the pod: {0}",
        "remove what the message names from the --patch file",
        final=True,
    ),
    Rule(
        r"RuntimeClass.*not found",
        "the cluster does not have that RuntimeClass: {0}",
        "use --runtime-class none, or let an administrator run `renderer setup k8s --cluster --apply`",
        final=True,
    ),
    Rule(
        r"serviceaccount .*not found",
        "the namespace does not have that ServiceAccount: {0}",
        "create it, or leave --service-account out",
    ),
    Rule(
        r"PriorityClass",
        "the cluster does not have that PriorityClass: {0}",
        "`kubectl get priorityclass` lists those that exist; --priority-class chooses one",
        final=True,
    ),
    Rule(r"", "the cluster cannot create the pod: {0}", "ask the cluster's administrator about this message"),
)
# Messages of the condition PodScheduled: why the scheduler does not find a node.
SCHEDULE = (
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
    Rule(
        r"Insufficient (nvidia|amd|gpu)[^ ,.]*",
        "all GPUs are in use: {0}",
        "the job starts when one is free; --gpu L4,T4 also accepts other models",
    ),
    Rule(
        r"affinity/selector",
        "no node has that GPU or those labels: {0}",
        "choose a GPU that the nodes have with --gpu, or change --node-selector",
    ),
    Rule(
        r"untolerated taint",
        "the nodes have a taint that the pod does not tolerate: {0}",
        "add a toleration for it in the --patch file",
    ),
    Rule(
        r"Insufficient",
        "no node has enough free resources: {0}",
        "ask for less: --cpu, --memory, --ephemeral-storage",
    ),
    Rule(r"", "no node accepts the pod: {0}", "`kubectl describe nodes` shows what the nodes offer"),
)
# Reasons why a container waits, with rules for the message.
_PULL_REFUSED = r"(?i)not found|does not exist|unauthorized|denied|forbidden|authentication required"
IMAGE_HINT = "use an image that has sh and Python 3.8 or newer; `renderer image build` makes one"
PULL_HINT = "check --image; a private registry needs --image-pull-secret"
WAITING: Mapping[str, tuple[Rule, ...]] = {
    "ErrImagePull": (
        Rule(_PULL_REFUSED, "the image cannot be pulled: {0}", PULL_HINT, final=True),
        Rule(r"", "the image cannot be pulled, and the node tries again: {0}", PULL_HINT),
    ),
    "InvalidImageName": (Rule(r"", "the image's name is not valid: {0}", "correct --image", final=True),),
    "ErrImageNeverPull": (
        Rule(
            r"",
            "the image is not on the node: {0}",
            "--image-pull-policy IfNotPresent lets the node pull it",
            final=True,
        ),
    ),
    "CreateContainerConfigError": (
        Rule(r"", "the container cannot start: {0}", "create what is missing; the job then goes on by itself"),
    ),
    "CreateContainerError": (Rule(r"", "the container cannot start: {0}", IMAGE_HINT),),
    "RunContainerError": (Rule(r"", "the container cannot start: {0}", IMAGE_HINT),),
}
WAITING_ALIASES = {"ImagePullBackOff": "ErrImagePull", "RegistryUnavailable": "ErrImagePull"}
# Warning events about a pod that has a node and does not start.
EVENTS: Mapping[str, Rule] = {
    "FailedMount": Rule("", "a volume cannot be mounted: {0}", "`kubectl describe pod` shows the whole message"),
    "FailedAttachVolume": Rule(
        "", "a volume cannot be attached: {0}", "check whether another node uses the PVC: `kubectl describe pvc`"
    ),
    "FailedCreatePodSandBox": Rule(
        "", "the node cannot start the pod: {0}", "ask the cluster's administrator about this message"
    ),
    "UnexpectedAdmissionError": Rule("", "the node rejected the pod: {0}", "the job is retried if --retries is set"),
}
# Reasons of the condition DisruptionTarget: what took the pod away.
DISRUPTIONS: Mapping[str, str] = {
    "EvictionByEvictionAPI": "the pod was evicted, for example because its node is drained",
    "PreemptionByScheduler": "the cluster gave the pod's place to a job of higher priority",
    "DeletionByTaintManager": "the pod's node went away, or got a taint",
    "DeletionByPodGC": "the pod's node does not exist any more",
    "TerminationByKubelet": "the node ended the pod: it ran out of a resource, or shut down",
}
