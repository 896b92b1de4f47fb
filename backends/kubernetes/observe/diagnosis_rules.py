"""Tables from what Kubernetes says to a sentence and the next thing to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.exit_codes import ExitCode


@dataclass(frozen=True, kw_only=True)
class Why:
    """A sentence, what to do next, the code that the command ends with; ``final`` when waiting will not help."""

    message: str
    hint: str | None = None
    details: str | None = None
    exit_code: int | None = None
    final: bool = False


@dataclass(frozen=True)
class Rule:
    """Text of Kubernetes that the pattern matches becomes ``message``, in which {0} is the text."""

    pattern: str
    message: str
    hint: str | None = None
    final: bool = False

    def apply(self, text: str) -> Why:
        """Give the words for ``text``."""
        return Why(
            message=self.message.format(text),
            hint=self.hint,
            final=self.final,
            exit_code=ExitCode.BACKEND if self.final else None,
        )


# What keeps the Job's controller from making pods: its FailedCreate event.
CREATE = (
    Rule(
        r"exceeded quota",
        "the namespace's quota is used up: {0}",
        "wait for other jobs, or ask for less: --memory, --cpu, --parallelism",
    ),
    Rule(
        r"violates PodSecurity",
        "the namespace's Pod Security refuses the pod: {0}",
        "take back what --patch or the image asks for",
        final=True,
    ),
    Rule(
        r"RuntimeClass.*not found",
        "the cluster has no such RuntimeClass: {0}",
        "--runtime-class none, or `renderer setup k8s` makes the class",
        final=True,
    ),
    Rule(r"serviceaccount .*not found", "{0}", "create that ServiceAccount, or leave --service-account out"),
    Rule(
        r"PriorityClass",
        "the cluster has no such PriorityClass: {0}",
        "`kubectl get priorityclass` lists them",
        final=True,
    ),
    Rule(r"", "no pod can be made: {0}", "ask who runs the cluster"),
)
# What the scheduler says of a pod that it can place nowhere.
SCHEDULE = (
    Rule(
        r"persistentvolumeclaim .* not found",
        "the claim is not there: {0}",
        "`renderer setup k8s --claim NAME` prints one",
    ),
    Rule(
        r"unbound immediate PersistentVolumeClaims",
        "the claim has no volume yet: {0}",
        "`kubectl describe pvc` tells why",
    ),
    Rule(
        r"Insufficient (nvidia|amd|gpu)[^ ,.]*",
        "no GPU is free: {0}",
        "it starts when one is; another GPU: --gpu L4,T4",
    ),
    Rule(r"affinity/selector", "no node has that GPU or those labels: {0}", "choose a GPU that the nodes have: --gpu"),
    Rule(r"untolerated taint", "nodes refuse the pod by a taint: {0}", "a toleration for it goes into --patch"),
    Rule(r"Insufficient", "no node has that much to spare: {0}", "ask for less: --cpu, --memory, --ephemeral-storage"),
    Rule(r"", "no node takes the pod: {0}", "`kubectl describe nodes` tells what they have"),
)
# Why a container does not start: its waiting reason, with the message behind.
_PULL_REFUSED = r"(?i)not found|does not exist|unauthorized|denied|forbidden|authentication required"
IMAGE_HINT = "has the image Python and renderer? build it from docker/"
PULL_HINT = "check --image; a private registry needs --image-pull-secrets"
WAITING: Mapping[str, tuple[Rule, ...]] = {
    "ErrImagePull": (
        Rule(_PULL_REFUSED, "the image cannot be pulled: {0}", PULL_HINT, final=True),
        Rule(r"", "the image cannot be pulled, and is tried again: {0}", PULL_HINT),
    ),
    "InvalidImageName": (Rule(r"", "the image's name is wrong: {0}", PULL_HINT, final=True),),
    "ErrImageNeverPull": (
        Rule(r"", "the image is not on the node: {0}", "--image-pull-policy IfNotPresent pulls it", final=True),
    ),
    "CreateContainerConfigError": (
        Rule(r"", "the container cannot start: {0}", "create what is missing; the job then goes on by itself"),
    ),
    "CreateContainerError": (Rule(r"", "the container cannot start: {0}", IMAGE_HINT),),
    "RunContainerError": (Rule(r"", "the container cannot start: {0}", IMAGE_HINT),),
}
WAITING_ALIASES = {"ImagePullBackOff": "ErrImagePull", "RegistryUnavailable": "ErrImagePull"}
# Warnings about a pod that is placed and does not start.
EVENTS: Mapping[str, Rule] = {
    "FailedMount": Rule("", "a volume cannot be mounted: {0}", "`kubectl describe pod` shows all of it"),
    "FailedAttachVolume": Rule("", "a volume cannot be attached: {0}", "is another node using the claim?"),
    "FailedCreatePodSandBox": Rule("", "the node cannot start the pod: {0}", "ask who runs the cluster"),
    "UnexpectedAdmissionError": Rule("", "the node refused the pod: {0}", "it is tried again on --retries"),
}
# Who took the pod away: the reason of its DisruptionTarget condition.
DISRUPTIONS: Mapping[str, str] = {
    "EvictionByEvictionAPI": "the pod was evicted, as when a node is drained",
    "PreemptionByScheduler": "a job of higher priority took the pod's place",
    "DeletionByTaintManager": "the node went away or was closed by a taint",
    "DeletionByPodGC": "the pod's node is gone",
    "TerminationByKubelet": "the node ended the pod: it ran out of a resource or shut down",
}
