"""Checks whether a cluster has everything that a submit needs, and says what to do if something is missing."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from backends.diagnostics import Check
from backends.errors import RendererError
from backends.kubernetes import names
from backends.kubernetes.client import threads
from backends.kubernetes.client.client import Api, JsonObject
from backends.kubernetes.client.errors import ApiError, NotFoundError, translate_error, translating_errors
from backends.kubernetes.client.paths import NODES, RUNTIME_CLASSES
from backends.kubernetes.isolation import find_faults_of_namespace, have_user_namespaces
from backends.kubernetes.manifests import pod_template
from backends.kubernetes.manifests.store_uri import parse_store_uri
from backends.kubernetes.observe import scheduling
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.probe import Evidence, collect_evidence
from backends.kubernetes.submit import NVIDIA_CLASS
from backends.storage import Storage

OLDEST_VERSION = (1, 33)  # the first one in which per-index backoff and pod failure policy are always on
# The Role of k8s/namespace.yaml.j2: group, resource, subresource, verbs
PERMISSIONS = (
    ("batch", "jobs", "", ("create", "get", "list", "patch", "delete")),
    ("", "configmaps", "", ("create", "delete")),
    ("", "pods", "", ("get", "list", "watch", "create", "delete")),
    ("", "pods", "log", ("get",)),
    ("", "pods", "exec", ("get", "create")),
    ("", "events", "", ("list",)),
)


def run_checks(
    api: Api, namespace: str, options: KubernetesOptions, image: str | None, store: str | None
) -> Iterator[Check]:
    """Yield the result of each check; with ``image``, run a small pod with this image for a moment."""
    try:
        yield _check_version(api)
    except (RendererError, ApiError) as error:
        yield Check("cluster", "failure", str(error), getattr(error, "hint", None))
        return
    with translating_errors("check the cluster"):
        yield _check_permissions(api, namespace)
        yield _check_namespace(api, namespace)
        yield _check_gpus(api)
        yield _check_runtime_class(api, options)
        yield Check("processes", "ok", "a pod cannot limit their number; the kubelet's podPidsLimit does, if it is set")
        if store:
            yield _check_store(store)
        if image:
            yield from _check_pod(api, namespace, options, image)
            yield from _check_nodes(api, namespace, image)


def _check_version(api: Api) -> Check:
    with api.without_retries():
        found = api.get("/version")
    version = tuple(int("".join(filter(str.isdigit, found[key]))) for key in ("major", "minor"))
    text = f"{found['gitVersion']} at {api.server} (context {api.context.name})"
    if version < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        return Check("cluster", "warning", text, f"use Kubernetes {oldest} or newer: older ones may reject a Job")
    return Check("cluster", "ok", text)


def _check_permissions(api: Api, namespace: str) -> Check:
    wanted = [(group, kind, part, verb) for group, kind, part, verbs in PERMISSIONS for verb in verbs]
    found = threads.run_all(functools.partial(_has_permission, api, namespace, *each) for each in wanted)
    missing = [
        f"{verb} {kind}{'/' * bool(part)}{part}"
        for (_, kind, part, verb), allowed in zip(wanted, found, strict=True)
        if not allowed
    ]
    if missing:
        todo = f"let an administrator bind you to the Role of `renderer setup k8s --namespace {namespace}`"
        return Check("permissions", "failure", f"in {namespace!r} you may not: {', '.join(missing)}", todo)
    return Check("permissions", "ok", f"you have all {len(wanted)} that jobs need in {namespace!r}")


def _has_permission(api: Api, namespace: str, group: str, kind: str, part: str, verb: str) -> bool:
    attributes = {"namespace": namespace, "group": group, "resource": kind, "subresource": part, "verb": verb}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = api.create(path, {**body, "spec": {"resourceAttributes": attributes}})
    return bool(answer["status"].get("allowed"))


def _check_namespace(api: Api, namespace: str) -> Check:
    try:
        labels = api.get(f"/api/v1/namespaces/{namespace}")["metadata"].get("labels") or {}
    except NotFoundError:
        todo = f"renderer setup k8s --namespace {namespace} --apply"
        return Check("namespace", "failure", f"there is no namespace {namespace!r}", todo)
    except ApiError:
        return Check("namespace", "ok", f"{namespace}; you may not read its Pod Security level, and any level works")
    level = labels.get("pod-security.kubernetes.io/enforce", "not enforced")
    return Check("namespace", "ok", f"{namespace}; Pod Security: {level} (jobs meet the level restricted)")


def _check_gpus(api: Api) -> Check:
    try:
        found = scheduling.describe_gpus(scheduling.parse_nodes(api.list_items(NODES)))
    except ApiError:
        todo = "let an administrator run `renderer setup k8s --cluster --apply`: it grants that"
        return Check("GPUs", "warning", "you may not list the nodes", todo)
    if found == scheduling.NO_GPUS:
        todo = "install NVIDIA's device plugin or GPU operator, or render with --gpu none"
        return Check("GPUs", "warning", found, todo)
    return Check("GPUs", "ok", found)


def _check_runtime_class(api: Api, options: KubernetesOptions) -> Check:
    wanted = NVIDIA_CLASS if options.runtime_class == "auto" else options.runtime_class
    if wanted == "none":
        return Check("RuntimeClass", "ok", "jobs do not use one")
    try:
        api.get(f"{RUNTIME_CLASSES}/{wanted}")
    except ApiError as error:
        if options.runtime_class == "auto":
            missing = isinstance(error, NotFoundError)
            found = "there is no RuntimeClass nvidia" if missing else "you may not read RuntimeClasses"
            return Check("RuntimeClass", "ok", f"{found}: GPU jobs use the nodes' default runtime")
        todo = "use --runtime-class none, or create the RuntimeClass"
        return Check("RuntimeClass", "failure", f"there is no RuntimeClass {wanted!r}", todo)
    return Check("RuntimeClass", "ok", wanted)


def _check_store(store: str) -> Check:
    try:
        folder = parse_store_uri(store, "doctor")
        if folder.claim:
            return Check("store", "ok", f"PVC {folder.claim}; only a job shows whether it can be mounted")
        Storage(folder.uri_in_pod).size("nothing")
    except RendererError as error:
        return Check("store", "failure", str(error), error.hint)
    return Check("store", "ok", f"{store} answers")


def _check_pod(api: Api, namespace: str, options: KubernetesOptions, image: str) -> Iterator[Check]:
    """Yield whether a pod of the image starts, what it reaches, and whether its RuntimeClass is a sandbox."""
    values = {
        "image": image,
        "image_pull_policy": options.image_pull_policy,
        "image_pull_secrets": [{"name": name} for name in options.image_pull_secrets],
        "runtime_class": None if options.runtime_class in {"auto", "none"} else options.runtime_class,
        "service_account": options.service_account,
        "node_selector": options.node_selector,
        "tolerations": pod_template.GPU_TOLERATIONS,
        "mounts": [],
        "volumes": [],
        "owners": [],
    }
    try:
        evidence = collect_evidence(api, namespace, names.APP, values)
    except ApiError as error:
        translated = translate_error(error, "run a pod")
        yield Check("image", "failure", str(translated), translated.hint)
    except RendererError as error:
        yield Check("image", "failure", str(error), error.hint)
    else:
        seen = f"; seen {evidence.age_s / 60:.0f} min ago" if evidence.age_s else ""
        yield Check("image", "ok", f"{image} can be pulled, and starts in the namespace{seen}")
        yield _check_network(evidence)
        if values["runtime_class"]:
            yield _check_sandbox(options.runtime_class, evidence)
            yield _check_untrusted(api, namespace, options, evidence)


def _check_network(evidence: Evidence) -> Check:
    if evidence.reached:
        todo = "`renderer setup k8s` makes the NetworkPolicies, and the cluster's network plugin has to enforce them"
        return Check("network", "warning", f"a pod reached {evidence.reached}: jobs are not kept off the network", todo)
    return Check("network", "ok", "a pod reached neither the API server nor its node")


def _check_sandbox(runtime_class: str, evidence: Evidence) -> Check:
    if evidence.node_kernel is None:
        found = f"you may not list the nodes, so {runtime_class} could not be proven to be a sandbox"
        return Check("sandbox", "warning", found, "an administrator runs `renderer setup k8s --cluster --apply`")
    if evidence.kernel == evidence.node_kernel:
        found = f"a pod of {runtime_class} has the kernel of its node: it is not a sandbox"
        return Check("sandbox", "warning", found, "for untrusted code use a RuntimeClass of gVisor or Kata")
    return Check("sandbox", "ok", f"a pod of {runtime_class} has a kernel of its own: {evidence.kernel}")


def _check_untrusted(api: Api, namespace: str, options: KubernetesOptions, evidence: Evidence) -> Check:
    """Return whether jobs with --untrusted are accepted here."""
    labels = {**options.labels, **names.job_labels(names.APP)}
    for fault, todo in find_faults_of_namespace(api, namespace, options.runtime_class, labels):
        return Check("untrusted", "warning", f"jobs with --untrusted are refused: {fault}", todo)
    if not evidence.is_isolated:
        return Check("untrusted", "warning", "jobs with --untrusted are refused: see the checks above", None)
    having = have_user_namespaces(api, options.runtime_class)
    users = "in user namespaces" if having else "not in user namespaces, which not all nodes say that they have"
    return Check("untrusted", "ok", f"jobs with --untrusted are accepted in {namespace!r}, {users}")


def _check_nodes(api: Api, namespace: str, image: str) -> Iterator[Check]:
    """Yield on how many nodes with GPUs the image lies, or of all nodes where none has a GPU."""
    try:
        nodes = list(api.list_items(NODES))
    except ApiError:
        return
    nodes = [node for node in nodes if scheduling.parse_nodes([node])[0].counts] or nodes
    there = sum(_has_image(node, image) for node in nodes)
    if there == len(nodes):
        yield Check("preload", "ok", f"the image is on {there} of {len(nodes)} nodes")
        return
    todo = (
        f"`renderer setup k8s --namespace {namespace} --preload {image} --apply` brings it there before the first job"
    )
    yield Check("preload", "ok", f"the image is on {there} of {len(nodes)} nodes; the other ones pull it first", todo)


def _has_image(node: JsonObject, image: str) -> bool:
    """Return whether a node reports the image. A kubelet reports only its 50 largest images."""
    first, _, rest = image.partition("/")
    name = (
        image
        if rest and re.search(r"[.:]|^localhost$", first)
        else f"docker.io/{image if rest else f'library/{image}'}"
    )
    if ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return any(name in (item.get("names") or []) for item in node["status"].get("images") or [])
