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
# Reasons why a container waits, with rules for the message.
IMAGE_HINT = "use an image that has sh and Python 3.8 or newer; `renderer image build` makes one"
_HOSTS = "/etc/containerd/certs.d/REGISTRY/hosts.toml on the nodes"
_PROXY = "/etc/systemd/system/containerd.service.d/http-proxy.conf on the nodes"
_LOGIN = "`kubectl create secret docker-registry NAME --docker-server=REGISTRY …`, and --image-pull-secret NAME"
# What a kubelet says of an image that it cannot pull. Most of it is set right on the nodes, and then the pull works.
PULL = (
    Rule(
        r"(?i)too ?many ?requests|rate limit",
        "the registry limits how often the nodes may ask, and the node tries again: {0}",
        f"log in there: {_LOGIN}; or name a mirror in {_HOSTS}",
    ),
    Rule(
        r"(?i)x509|certificate",
        "the node does not trust the registry's certificate, and tries again: {0}",
        f'an administrator writes ca = "/path/to/ca.crt" in {_HOSTS}',
    ),
    Rule(
        r"(?i)HTTP response to HTTPS client",
        "the registry does not speak HTTPS, and the node tries again: {0}",
        f'an administrator writes server = "http://REGISTRY" in {_HOSTS}',
    ),
    Rule(
        r"(?i)proxyconnect|proxy authentication",
        "the node's proxy does not let it reach the registry, and it tries again: {0}",
        f"an administrator corrects HTTPS_PROXY and NO_PROXY in {_PROXY}",
    ),
    Rule(
        r"(?i)no space left|disk quota",
        "the node's disk is full, and it tries again: {0}",
        "an administrator frees space (`crictl rmi --prune`); --node-selector chooses other nodes",
    ),
    Rule(
        r"(?i)no match for platform|exec format error",
        "the image is for another kind of processor than the node's: {0}",
        "build it for that one, or choose nodes for it: --node-selector kubernetes.io/arch=amd64",
        final=True,
    ),
    Rule(
        r"(?i)unauthorized|denied|forbidden|authentication required|no basic auth|authorization failed",
        "the image cannot be pulled: {0}",
        f"check --image; a private registry needs a Secret: {_LOGIN}",
        final=True,
    ),
    Rule(r"(?i)not found|does not exist", "the image cannot be pulled: {0}", "correct --image", final=True),
    Rule(
        r"(?i)no such host|dial tcp|timeout|deadline exceeded|connection re|unreachable|\bEOF\b",
        "the node cannot reach the registry, and tries again: {0}",
        f"an administrator sets HTTPS_PROXY in {_PROXY}, or names a mirror in {_HOSTS}",
    ),
    Rule(r"", "the image cannot be pulled, and the node tries again: {0}", "check --image and --image-pull-secret"),
)
WAITING: Mapping[str, tuple[Rule, ...]] = {
    "ErrImagePull": PULL,
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
    "InstallingPackages": (Rule(r"", "its packages are being installed"),),
    "CreateContainerError": (Rule(r"", "the container cannot start: {0}", IMAGE_HINT),),
    "RunContainerError": (Rule(r"", "the container cannot start: {0}", IMAGE_HINT),),
}
WAITING_ALIASES = {"ImagePullBackOff": "ErrImagePull", "RegistryUnavailable": "ErrImagePull"}
# Warning events about a pod that has a node and does not start.
NO_PULL_SECRET = "FailedToRetrieveImagePullSecret"  # noqa: S105 - the reason of an event
EVENTS: Mapping[str, tuple[Rule, ...]] = {
    NO_PULL_SECRET: (Rule(r"", "a Secret for the registry does not exist: {0}", f"create it: {_LOGIN}"),),
    "FailedMount": (
        Rule(  # a client that is killed has left a Job alone, whose UID its inputs name: no order of the two is safe
            r'volume "inputs" ?: configmap "[^"]+" not found',
            "its inputs are missing: the command that submitted it was ended before it had sent them",
            "run the same command again, which sends them; or delete it",
        ),
        Rule(r"failed to sync (configmap|secret) cache", "its node reads the job's inputs, and tries again"),
        Rule(r"", "a volume cannot be mounted: {0}", "`kubectl describe pod` shows the whole message"),
    ),
    "FailedAttachVolume": (
        Rule(
            r"", "a volume cannot be attached: {0}", "check whether another node uses the PVC: `kubectl describe pvc`"
        ),
    ),
    "FailedCreatePodSandBox": (
        Rule(
            r"(?i)no runtime for|binary not installed|unknown runtime|RuntimeHandler",
            "the node does not have the runtime of the RuntimeClass: {0}",
            "an administrator adds that handler to containerd's configuration on the nodes; or choose nodes that have "
            "it with --node-selector, or another --runtime-class",
            final=True,
        ),
        Rule(r"", "the node cannot start the pod: {0}", "ask the cluster's administrator about this message"),
    ),
    "UnexpectedAdmissionError": (
        Rule(r"", "the node rejected the pod: {0}", "the job is retried if --retries is set"),
    ),
}
# Reasons of the condition DisruptionTarget: what took the pod away.
DISRUPTIONS: Mapping[str, str] = {
    "EvictionByEvictionAPI": "the pod was evicted, for example because its node is drained",
    "PreemptionByScheduler": "the cluster gave the pod's place to a job of higher priority",
    "DeletionByTaintManager": "the pod's node went away, or got a taint",
    "DeletionByPodGC": "the pod's node does not exist any more",
    "TerminationByKubelet": "the node ended the pod: it ran out of a resource, or shut down",
}
