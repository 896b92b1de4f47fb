"""Proves that a namespace keeps a job apart from network, credentials and the node, before an untrusted job is created.

A short pod of the same image and RuntimeClass runs first, and shows which kernel it has and what it can connect to.
"""

from __future__ import annotations

from collections.abc import Iterator

from backends.errors import BackendError, RendererError, SpecError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api, JsonObject
from backends.kubernetes.client.errors import ApiError, ForbiddenError
from backends.kubernetes.client.paths import NODES, RUNTIME_CLASSES, core_path
from backends.kubernetes.manifests.job import KubernetesRequest
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.probe import collect_evidence, policies_path, was_reached
from backends.models import JobSpec

SANDBOX_HANDLERS = ("runsc", "gvisor", "kata")  # how the names of sandboxed runtimes begin
SECRETS = "count/secrets"  # in a ResourceQuota
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
    labels = set(options.labels) - set(names.LABELS_SERVE)
    own = sorted(label for label in labels if label.startswith("manim-renderer/"))
    if own:
        raise SpecError(f"an untrusted job cannot have the label {own[0]}", hint=f"leave --label {own[0]} out")


def prove_isolation(api: Api, namespace: str, request: KubernetesRequest) -> KubernetesRequest:
    """Return the request; where the nodes can, with a user namespace for its pods, in which root is nobody.

    Raises BackendError for the first thing that cannot be proven; ApiError where the cluster refuses the probe.
    """
    pod = request.job["spec"]["template"]["spec"]
    faults = _find_faults(api, namespace, pod, request.job["spec"]["template"]["metadata"]["labels"])
    for fault, hint in faults:
        raise BackendError(f"the untrusted job is not sent: {fault}", hint=hint)
    return request.with_pod_fields(hostUsers=False) if have_user_namespaces(api, pod["runtimeClassName"]) else request


def find_faults_of_namespace(
    api: Api, namespace: str, runtime_class: str, labels: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield why untrusted jobs of these labels are refused, as far as it can be seen without a pod, and what to do."""
    yield from _find_faults_of_class(api, runtime_class)
    yield from _find_faults_of_policies(api, namespace, labels)
    yield from _find_secrets(api, namespace)


def have_user_namespaces(api: Api, runtime_class: str) -> bool:
    """Return whether every node with the class's handler can give a pod a user namespace, as far as nodes tell it."""
    try:
        handler = api.get(f"{RUNTIME_CLASSES}/{runtime_class}")["handler"]
        found = [
            (each.get("features") or {}).get("userNamespaces")
            for node in api.list_items(NODES)
            for each in node["status"].get("runtimeHandlers") or []
            if each.get("name") == handler
        ]
    except ApiError:
        return False
    return bool(found) and all(found)


def describe_open_network(api: Api, namespace: str) -> str | None:
    """Return a sentence if it is known that the pods of a namespace may use the network; None if it is not known."""
    try:
        policies = [item["spec"] for item in api.list_items(policies_path(namespace))]
    except (ApiError, RendererError):  # a note is no reason to fail
        return None
    if not any(_denies_everything(policy) for policy in policies):
        return (
            f"jobs in {namespace!r} may use the network: no NetworkPolicy closes it "
            f"(`renderer setup k8s --namespace {namespace}` prints one)"
        )
    if reached := was_reached(api, namespace):
        return f"jobs in {namespace!r} may use the network: no policy is enforced, and a pod reached {reached}"
    return None


def _find_faults(api: Api, namespace: str, pod: JsonObject, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, or cannot be known, and what to do about it."""
    yield from find_faults_of_namespace(api, namespace, pod["runtimeClassName"], labels)
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
        items = list(api.list_items(policies_path(namespace)))
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
    """Yield a Secret of the namespace. Who may not list them has to see that a quota forbids them."""
    try:
        found = next(api.list_items(core_path(namespace, "secrets")), None)
    except ForbiddenError:
        if not _has_no_secrets_by_quota(api, namespace):
            yield f"it is not known whether {namespace!r} has Secrets: no quota forbids them", _SETUP
        return
    if found:
        name = found["metadata"]["name"]
        yield f"{namespace!r} has Secrets, such as {name!r}", f"use a namespace without Secrets; {_SETUP}"


def _has_no_secrets_by_quota(api: Api, namespace: str) -> bool:
    """Return whether a quota forbids Secrets, and its controller has counted none."""
    try:
        found = [item.get("status") or {} for item in api.list_items(core_path(namespace, "resourcequotas"))]
    except ForbiddenError:
        return False
    counts = [(status.get("hard", {}).get(SECRETS), status.get("used", {}).get(SECRETS)) for status in found]
    return ("0", "0") in counts


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
        evidence = collect_evidence(api, namespace, labels[names.LABEL_JOB], values)
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
