"""The cluster that KUBECONFIG and CLUSTER_IMAGE name, in a namespace of its own that takes restricted pods only."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rigs.base import Rig


def kubectl(*arguments: str, content: str | None = None, check: bool = True) -> str:
    """Run kubectl as the cluster's administrator."""
    done = subprocess.run(
        ["kubectl", *arguments], input=content, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def get(*arguments: str) -> Any:
    """Read objects as JSON."""
    return json.loads(kubectl("get", "-o", "json", *arguments))


def require_cluster() -> str:
    """Give the image to run, or skip: without a cluster nothing here can be shown."""
    image = os.environ.get("CLUSTER_IMAGE", "")
    if not image or "KUBECONFIG" not in os.environ:
        pytest.skip(
            "no Kubernetes cluster: run pytest by tests/cluster/with (as root), or set KUBECONFIG and CLUSTER_IMAGE"
        )
    return image


@contextmanager
def namespace() -> Iterator[str]:
    """Make a namespace that enforces the strictest Pod Security, and remove it."""
    name = f"renderer-{secrets.token_hex(4)}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("create", "-f", "-", content=json.dumps(manifest))
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def kubernetes(folder: Path) -> Iterator[Rig]:
    """Run small pods, so that a small machine takes two at a time."""
    image = require_cluster()
    with namespace() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        yield Rig(
            "k8s", {"k8s.namespace": name, "image": image, "cpu": 0.5, "memory": "2Gi", "k8s.ephemeral_storage": "1Gi"}
        )
