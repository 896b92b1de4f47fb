"""Where the API server has what we read and write."""

from __future__ import annotations

from urllib.parse import quote

RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
NODES = "/api/v1/nodes"


def jobs(namespace: str, name: str = "") -> str:
    """Give the path of a namespace's Jobs, or of one."""
    return f"/apis/batch/v1/namespaces/{quote(namespace)}/jobs" + (f"/{quote(name)}" if name else "")


def core(namespace: str, kind: str, name: str = "", part: str = "") -> str:
    """Give the path of a namespace's pods, configmaps, events …, of one, or of a part of one: log, exec."""
    path = f"/api/v1/namespaces/{quote(namespace)}/{kind}" + (f"/{quote(name)}" if name else "")
    return f"{path}/{part}" if part else path
