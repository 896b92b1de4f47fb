"""The objects that prepare a namespace, and those that a cluster needs once, for `renderer setup k8s`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from backends.errors import BackendError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ConflictError, translating_errors
from backends.kubernetes.client.paths import RUNTIME_CLASSES
from backends.kubernetes.manifests.templates import Manifest, render_template

QUOTA = {"requests.nvidia.com/gpu": "8", "requests.cpu": "64", "requests.memory": "256Gi", "count/jobs.batch": "200"}
DEFAULT_NAMESPACE = "renderer"
_LABELS = {names.LABEL_APP: names.APP, names.LABEL_MANAGED: names.MANAGER, names.LABEL_COMPONENT: "setup"}
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "RuntimeClass": RUNTIME_CLASSES,
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


@dataclass(frozen=True, kw_only=True)
class SetupOptions:
    """What to set up: a namespace, a PVC if ``claim`` is its name, and with ``cluster`` the cluster-wide objects.

    ``untrusted`` is for jobs with --untrusted: no policy opens the network, and no Secret can be created. With
    ``cluster``, there is a RuntimeClass for gVisor.
    """

    namespace: str = DEFAULT_NAMESPACE
    claim: str | None = None
    size: str = "50Gi"
    storage_class: str | None = None
    cluster: bool = False
    untrusted: bool = False


def build_manifests(options: SetupOptions) -> list[Manifest]:
    """Return the objects in the order in which they must be created."""
    values: dict[str, object] = {
        "namespace": options.namespace,
        "labels": _LABELS,
        "quota": QUOTA,
        "claim": options.claim,
        "size": options.size,
        "storage_class": options.storage_class,
        "binding": f"renderer-{options.namespace}",
    }
    templates = ["namespace", *(["claim"] if options.claim else []), *(["cluster"] if options.cluster else [])]
    manifests = [manifest for template in templates for manifest in render_template(template, values)]
    if not options.untrusted:
        return manifests
    closed = [manifest for manifest in manifests if manifest["metadata"]["name"] != "renderer-store"]
    extra = ["untrusted", *(["sandbox"] if options.cluster else [])]
    return [*closed, *(manifest for template in extra for manifest in render_template(template, values))]


def build_preload(namespace: str, image: str) -> list[Manifest]:
    """Return the DaemonSet that brings an image to every node with a GPU."""
    name = f"preload-{hashlib.sha256(image.encode()).hexdigest()[:8]}"
    return list(render_template("preload", {"name": name, "namespace": namespace, "labels": _LABELS, "image": image}))


def apply_manifests(api: Api, manifests: list[Manifest]) -> None:
    """Create the objects, or update those that exist. Raises BackendError if the server refuses one."""
    for manifest in manifests:
        metadata = manifest["metadata"]
        path = f"{_PATHS[manifest['kind']].format(metadata.get('namespace', ''))}/{metadata['name']}"
        with translating_errors(f"set up the {manifest['kind']} {metadata['name']!r}"):
            try:
                api.apply(path, manifest)
            except ConflictError as error:
                raise BackendError(
                    f"the {manifest['kind']} {metadata['name']!r} exists and is managed by another tool: {error}",
                    hint="print the objects without --apply, and merge them by hand",
                ) from error
