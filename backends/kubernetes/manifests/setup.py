"""The set-up of a namespace, and what a cluster needs once: the objects of k8s/ to print or to apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.errors import BackendError
from backends.kubernetes import names
from backends.kubernetes.client.client import Api
from backends.kubernetes.client.errors import ApiError, explained
from backends.kubernetes.client.paths import RUNTIME_CLASSES
from backends.kubernetes.manifests.templates import Manifest, render

QUOTA = {"requests.nvidia.com/gpu": "8", "requests.cpu": "64", "requests.memory": "256Gi", "count/jobs.batch": "200"}
DEFAULT_NAMESPACE = "renderer"
_LABELS = {names.LABEL_APP: names.APP, names.LABEL_MANAGED: names.MANAGER, names.LABEL_COMPONENT: "setup"}
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "RuntimeClass": RUNTIME_CLASSES,
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to set up: always the namespace; a claim for outputs; with ``cluster`` what belongs to no namespace."""

    namespace: str = DEFAULT_NAMESPACE
    claim: str | None = None
    size: str = "50Gi"
    storage_class: str | None = None
    cluster: bool = False


def manifests(wanted: Wanted) -> list[Manifest]:
    """Give the objects, in the order in which they are created."""
    values: dict[str, Any] = {
        "namespace": wanted.namespace,
        "labels": _LABELS,
        "quota": QUOTA,
        "claim": wanted.claim,
        "size": wanted.size,
        "storage_class": wanted.storage_class,
        "binding": f"renderer-{wanted.namespace}",
    }
    chosen = ["namespace", *(["claim"] if wanted.claim else []), *(["cluster"] if wanted.cluster else [])]
    return [manifest for template in chosen for manifest in render(template, values)]


def apply(api: Api, objects: list[Manifest]) -> None:
    """Create the objects, or bring them to this state. Raises BackendError for what may not be done."""
    for item in objects:
        metadata = item["metadata"]
        path = f"{_PATHS[item['kind']].format(metadata.get('namespace', ''))}/{metadata['name']}"
        with explained(f"set up the {item['kind']} {metadata['name']!r}"):
            try:
                api.apply(path, item)
            except ApiError as error:
                if error.code != 409:  # noqa: PLR2004 - HTTP's number
                    raise
                raise BackendError(
                    f"the {item['kind']} {metadata['name']!r} is there already, and somebody else's: {error}",
                    hint="print the set-up without --apply and merge it by hand",
                ) from error
