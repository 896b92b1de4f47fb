"""URL paths of the objects at the API server."""

from __future__ import annotations

from urllib.parse import quote

RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
NODES = "/api/v1/nodes"
KUEUE = "/apis/kueue.x-k8s.io"  # its versions; it is not there where Kueue is not installed


def jobs_path(namespace: str, name: str = "") -> str:
    """Return the path of a namespace's Jobs, or of one Job."""
    return f"/apis/batch/v1/namespaces/{quote(namespace)}/jobs" + (f"/{quote(name)}" if name else "")


def core_path(namespace: str, kind: str, name: str = "", subresource: str = "") -> str:
    """Return the path of all objects of a ``kind`` such as pods, of the one named, or of its ``subresource``."""
    path = f"/api/v1/namespaces/{quote(namespace)}/{kind}" + (f"/{quote(name)}" if name else "")
    return f"{path}/{subresource}" if subresource else path


def workloads_path(namespace: str, version: str) -> str:
    """Return the path of the Workloads that Kueue makes for a namespace's Jobs."""
    return f"{KUEUE}/{version}/namespaces/{quote(namespace)}/workloads"
