"""Proves that a namespace keeps a job apart from network, credentials and the node, before an untrusted job is created.

Nothing is believed that a pod can show: a short pod of the same image and RuntimeClass runs first, and tells which
kernel it has and what it can connect to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from backends.errors import BackendError, RendererError, SpecError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api, JsonObject
from backends.kubernetes.client.errors import ApiError, ForbiddenError
from backends.kubernetes.client.paths import NODES, RUNTIME_CLASSES, core_path
from backends.kubernetes.client.pod_exec import run_command
from backends.kubernetes.manifests.job import KubernetesRequest
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.transfer.transfer_pod import run_idle_pod
from backends.models import JobSpec
from backends.untrusted import show_line

SANDBOX_HANDLERS = ("runsc", "gvisor", "kata")  # how the names of sandboxed runtimes begin
PROBE_TIMEOUT_S = 180.0  # how long a node may take to pull the image
PROBE_BYTES = 4096  # of the probe's answer
CONNECT_TIMEOUT_S = 2
# Prints the kernel's release, and the targets that answered: also a refusal is an answer from the network.
PROBE = """\
import json, os, socket, sys
reached = []
service = os.environ.get("KUBERNETES_SERVICE_HOST")  # the kubelet sets it in every pod
for host, port in json.loads(sys.argv[1]) + ([[service, 443]] if service else []):
    try:
        socket.create_connection((host, port), int(sys.argv[2])).close()
        reached.append(host)
    except ConnectionRefusedError:
        reached.append(host)
    except OSError:
        pass
print(json.dumps({"kernel": os.uname().release, "reached": reached}))
"""
_SETUP = "an administrator prepares a namespace with `renderer setup k8s --untrusted`"


def check_untrusted(spec: JobSpec, options: KubernetesOptions) -> None:
    """Raise SpecError for an untrusted job that asks for what it must not have. Does not use the network."""
    if spec.store:
        raise SpecError(
            "an untrusted job on Kubernetes cannot have a store: it would need its credentials and the network",
            hint="leave --store out, and keep the command running until the outputs are downloaded",
        )
    if options.runtime_class in {"auto", "none"}:
        raise SpecError(
            "an untrusted job on Kubernetes needs a RuntimeClass that is a sandbox, as gVisor or Kata",
            hint="add --runtime-class with its name; `kubectl get runtimeclasses` shows them",
        )
    own = [label for label in options.labels if label.startswith("manim-renderer/")]
    if own:
        raise SpecError(f"an untrusted job cannot have the label {own[0]}", hint=f"leave --label {own[0]} out")


def prove_isolation(api: Api, namespace: str, request: KubernetesRequest) -> None:
    """Raise BackendError for the first thing that cannot be proven; ApiError where the cluster refuses the probe."""
    pod = request.job["spec"]["template"]["spec"]
    faults = _find_faults(api, namespace, pod, request.job["spec"]["template"]["metadata"]["labels"])
    for fault, hint in faults:
        raise BackendError(f"the untrusted job is not sent: {fault}", hint=hint)


def _find_faults(api: Api, namespace: str, pod: JsonObject, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, or cannot be known, and what to do about it."""
    yield from _find_faults_of_class(api, pod["runtimeClassName"])
    yield from _find_faults_of_policies(api, namespace, labels)
    yield from _find_secrets(api, namespace)
    yield from _find_faults_of_probe(api, namespace, pod, labels)


def _find_faults_of_class(api: Api, name: str) -> Iterator[tuple[str, str]]:
    try:
        handler = str(api.get(f"{RUNTIME_CLASSES}/{name}")["handler"])
    except ApiError as error:
        yield f"the RuntimeClass {name!r} cannot be read: {error}", f"correct --runtime-class; {_SETUP}"
        return
    if not handler.startswith(SANDBOX_HANDLERS):
        known = ", ".join(SANDBOX_HANDLERS)
        yield f"the RuntimeClass {name!r} has the handler {handler!r}, which is not a known sandbox", f"use {known}"


def _find_faults_of_policies(api: Api, namespace: str, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    try:
        items = list(api.list_items(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"))
    except ForbiddenError:
        yield "you may not list its NetworkPolicies, so that nothing is known about the network", _SETUP
        return
    specs = [item["spec"] for item in items]
    if not any(_denies_everything(spec) for spec in specs):
        yield f"no NetworkPolicy in {namespace!r} selects every pod and denies everything", _SETUP
    for item in items:
        if _opens(item["spec"], labels):
            name = item["metadata"]["name"]
            yield f"the NetworkPolicy {name!r} allows the job connections", f"remove it from {namespace!r}; {_SETUP}"


def _denies_everything(spec: JsonObject) -> bool:
    is_closed = not spec.get("ingress") and not spec.get("egress")
    return not spec.get("podSelector") and is_closed and {"Ingress", "Egress"} <= set(spec.get("policyTypes") or [])


def _opens(spec: JsonObject, labels: dict[str, str]) -> bool:
    """Return whether a policy may allow the pods of these labels anything. A selector with expressions may."""
    wanted = (spec.get("podSelector") or {}).get("matchLabels") or {}
    return bool(spec.get("ingress") or spec.get("egress")) and wanted.items() <= labels.items()


def _find_secrets(api: Api, namespace: str) -> Iterator[tuple[str, str]]:
    """Yield a Secret of the namespace, where the user may list them; otherwise the set-up's word has to do."""
    try:
        found = next(api.list_items(core_path(namespace, "secrets")), None)
    except ForbiddenError:
        return
    if found:
        name = found["metadata"]["name"]
        yield f"{namespace!r} has Secrets, such as {name!r}", f"use a namespace without Secrets; {_SETUP}"


def _find_faults_of_probe(
    api: Api, namespace: str, pod: JsonObject, labels: dict[str, str]
) -> Iterator[tuple[str, str]]:
    container = pod["containers"][0]
    values = {
        "image": container["image"],
        "image_pull_policy": container.get("imagePullPolicy"),
        "image_pull_secrets": pod.get("imagePullSecrets") or [],
        "runtime_class": pod["runtimeClassName"],
        "service_account": None,
        "node_selector": pod.get("nodeSelector"),
        "tolerations": pod.get("tolerations"),
        "mounts": [],
        "volumes": [],
        "owners": [],
    }
    try:
        with run_idle_pod(api, namespace, labels[names.LABEL_JOB], values, PROBE_TIMEOUT_S) as name:
            evidence = collect_evidence(api, namespace, name)
    except RendererError as error:
        yield f"no pod could show that the sandbox works: {error}", error.hint or "look at the pod's events"
        return
    if evidence.node_kernel is None:
        yield "you may not see the kernels of the nodes", "an administrator runs `renderer setup k8s --cluster --apply`"
    elif evidence.kernel == evidence.node_kernel:
        yield (
            f"a pod of {pod['runtimeClassName']!r} has the kernel of its node, {evidence.kernel}",
            "install the sandbox on the nodes",
        )
    if evidence.reached:
        yield (
            f"a pod in {namespace!r} reached {evidence.reached}: no network plugin enforces the policies",
            "use a cluster whose network enforces NetworkPolicies, as Calico or Cilium do",
        )


@dataclass(frozen=True)
class Evidence:
    """What a pod showed: its kernel, that of its node if it may be seen, and what it reached over the network."""

    kernel: str
    node_kernel: str | None
    reached: str


def collect_evidence(api: Api, namespace: str, pod: str) -> Evidence:
    """Return what a running pod shows. Raises ApiError, BackendError."""
    shown = api.get(core_path(namespace, "pods", pod))
    node = _read_node(api, shown["spec"]["nodeName"])
    answer = _run_probe(api, namespace, pod, _list_targets(shown, node))
    return Evidence(
        kernel=show_line(str(answer["kernel"])),
        node_kernel=node["nodeInfo"]["kernelVersion"] if node else None,
        reached=show_line(", ".join(map(str, answer.get("reached") or []))),
    )


def _read_node(api: Api, name: str) -> JsonObject:
    """Return the status of a node; an empty one where nodes may not be listed, which the set-up allows."""
    try:
        found: JsonObject = next(api.list_items(NODES, fieldSelector=f"metadata.name={name}"))["status"]
    except ForbiddenError:
        return {}
    return found


def _list_targets(pod: JsonObject, node: JsonObject) -> list[tuple[str, int]]:
    """Return what the probe tries to reach on its node: the kubelet, and ports that answer in any case if they can."""
    kubelet = node.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port") or 10250
    return [(str(pod["status"]["hostIP"]), port) for port in (kubelet, 53, 443)]


def _run_probe(api: Api, namespace: str, pod: str, targets: list[tuple[str, int]]) -> JsonObject:
    answer = bytearray()
    command = ["python", "-I", "-c", PROBE, json.dumps(targets), str(CONNECT_TIMEOUT_S)]
    run_command(api, namespace, pod, command, output=lambda piece: answer.extend(piece[:PROBE_BYTES]))
    try:
        content = json.loads(bytes(answer))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not content.get("kernel"):
        raise BackendError("its answer is damaged", hint="use an image of renderer")
    return content
