"""Looks at a cluster as submit would use it: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from backends.diagnostics import Check
from backends.errors import RendererError
from backends.kubernetes import names
from backends.kubernetes.client import threads
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError, of
from backends.kubernetes.client.paths import NODES, RUNTIME_CLASSES
from backends.kubernetes.manifests import pod_template, store_uri
from backends.kubernetes.observe import diagnosis
from backends.kubernetes.options import KubernetesOptions
from backends.kubernetes.submit import NVIDIA_CLASS
from backends.kubernetes.transfer import helper_pod
from backends.storage import Storage

IMAGE_S = 180.0  # how long an image may take to be pulled before it is told
OLDEST = (1, 33)  # per-index backoff and pod failure policy are part of every version from here on
# The Role of k8s/namespace.yaml.j2, as questions: group, resource, subresource, verbs
NEEDED = (
    ("batch", "jobs", "", ("create", "get", "list", "patch", "delete")),
    ("", "configmaps", "", ("create", "delete")),
    ("", "pods", "", ("get", "list", "watch", "create", "delete")),
    ("", "pods", "log", ("get",)),
    ("", "pods", "exec", ("get", "create")),
    ("", "events", "", ("list",)),
)


def examine(
    api: Api, namespace: str, options: KubernetesOptions, image: str | None, store: str | None
) -> Iterator[Check]:
    """Look at everything in turn; with ``image`` a small pod of it is run for a moment."""
    try:
        yield _version(api)
    except (RendererError, ApiError) as error:
        yield Check("cluster", "failure", str(error), getattr(error, "hint", None))
        return
    yield _permissions(api, namespace)
    yield _pod_security(api, namespace)
    yield _gpus(api)
    yield _runtime_class(api, options)
    if store:
        yield _store(store)
    if image:
        yield _image(api, namespace, options, image)


def _version(api: Api) -> Check:
    with api.impatient():
        found = api.get("/version")
    version = tuple(int("".join(filter(str.isdigit, found[key]))) for key in ("major", "minor"))
    text = f"{found['gitVersion']} at {api.server} (context {api.context.name})"
    if version < OLDEST:
        return Check(
            "cluster", "warning", text, f"made for {OLDEST[0]}.{OLDEST[1]} and newer: older ones may refuse a Job"
        )
    return Check("cluster", "ok", text)


def _permissions(api: Api, namespace: str) -> Check:
    questions = [(group, kind, part, verb) for group, kind, part, verbs in NEEDED for verb in verbs]

    def denied(question: tuple[str, str, str, str]) -> str | None:
        group, kind, part, verb = question
        about = {"namespace": namespace, "group": group, "resource": kind, "subresource": part, "verb": verb}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = api.create(path, {**body, "spec": {"resourceAttributes": about}})
        return None if answer["status"].get("allowed") else f"{verb} {kind}{'/' * bool(part)}{part}"

    missing = list(filter(None, threads.results(functools.partial(denied, question) for question in questions)))
    if missing:
        todo = f"bind the Role of `renderer setup k8s --namespace {namespace}` to who you are there"
        return Check("permissions", "failure", f"in {namespace!r} you may not: {', '.join(missing)}", todo)
    return Check("permissions", "ok", f"all {len(questions)} that are needed in {namespace!r}")


def _pod_security(api: Api, namespace: str) -> Check:
    try:
        labels = api.get(f"/api/v1/namespaces/{namespace}")["metadata"].get("labels") or {}
    except ApiError as error:
        if error.code == 404:  # noqa: PLR2004 - HTTP's number
            todo = f"renderer setup k8s --namespace {namespace} --apply"
            return Check("namespace", "failure", f"there is no namespace {namespace!r}", todo)
        return Check("namespace", "ok", f"{namespace}; its Pod Security may not be read, and any level is fine")
    level = labels.get("pod-security.kubernetes.io/enforce", "none is enforced")
    return Check("namespace", "ok", f"{namespace}; Pod Security: {level} (jobs keep to restricted)")


def _gpus(api: Api) -> Check:
    try:
        found = diagnosis.of_nodes(api.items(NODES))
    except ApiError:
        return Check("GPUs", "warning", "the nodes may not be read", "renderer setup k8s --cluster gives that right")
    if found == diagnosis.NO_GPUS:
        todo = "install NVIDIA's device plugin or GPU operator, or render with --gpu none"
        return Check("GPUs", "warning", found, todo)
    return Check("GPUs", "ok", found)


def _runtime_class(api: Api, options: KubernetesOptions) -> Check:
    wanted = NVIDIA_CLASS if options.runtime_class == "auto" else options.runtime_class
    if wanted == "none":
        return Check("RuntimeClass", "ok", "none is asked for")
    try:
        api.get(f"{RUNTIME_CLASSES}/{wanted}")
    except ApiError as error:
        if options.runtime_class == "auto":
            found = "there is no class nvidia" if error.code == 404 else "classes may not be read"  # noqa: PLR2004
            return Check("RuntimeClass", "ok", f"{found}: GPU jobs use the nodes' default runtime")
        return Check("RuntimeClass", "failure", f"there is no class {wanted!r}", "--runtime-class none, or make it")
    return Check("RuntimeClass", "ok", wanted)


def _store(store: str) -> Check:
    try:
        where = store_uri.parse(store, "doctor")
        if where.claim:
            return Check("store", "ok", f"claim {where.claim}; a job tells whether it can be mounted")
        Storage(where.in_pod).size("nothing")
    except RendererError as error:
        return Check("store", "failure", str(error), error.hint)
    return Check("store", "ok", f"{store} answers")


def _image(api: Api, namespace: str, options: KubernetesOptions, image: str) -> Check:
    values = {
        "image": image,
        "image_pull_policy": options.image_pull_policy,
        "image_pull_secrets": [{"name": name} for name in options.image_pull_secrets],
        "service_account": options.service_account,
        "node_selector": options.node_selector,
        "tolerations": pod_template.GPU_TOLERATIONS,
        "mounts": [],
        "volumes": [],
        "owners": [],
    }
    try:
        with helper_pod.idle_pod(api, namespace, names.APP, values, within=IMAGE_S):
            return Check("image", "ok", f"{image} is pulled and starts under the namespace's rules")
    except ApiError as error:
        known = of(error, "run a pod")
        return Check("image", "failure", str(known), known.hint)
    except RendererError as error:
        return Check("image", "failure", str(error), error.hint)
