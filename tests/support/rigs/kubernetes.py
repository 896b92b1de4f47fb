"""The Kubernetes backend on the cluster of KUBECONFIG and CLUSTER_IMAGE, in a namespace for restricted pods only."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.processes import until
from support.rigs.base import Rig, make_foreign_image

from backends import JobState
from backends.errors import BackendError
from backends.storage import Storage
from renderer.api import Job

Run = Callable[..., Job]
Parts = Callable[..., None]
PLAIN = """\
import os, subprocess, sys
command = [sys.executable, "-m", "manim", "render", "--media_dir", os.environ["RENDERER_OUTPUT_DIR"]]
command += ["--progress_bar", "none", "-r", "160,90", "--fps", "10", "--encoder-option", "threads=1"]
command += ["--encoder-option", "x264-params=asm=avx2", *sys.argv[1:]]
subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})
"""


def kubectl(*arguments: str, content: str | None = None, check: bool = True) -> str:
    """Run kubectl as the cluster's administrator."""
    done = subprocess.run(
        ["kubectl", *arguments], input=content, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def get(*arguments: str) -> Any:
    """Return objects as kubectl reads them."""
    return json.loads(kubectl("get", "-o", "json", *arguments))


def require_cluster() -> str:
    """Return the image to run, or skip the test if there is no cluster."""
    image = os.environ.get("CLUSTER_IMAGE", "")
    if not image or "KUBECONFIG" not in os.environ:
        pytest.skip(
            "no Kubernetes cluster: run tests/support/cluster/with pytest (as root), or set KUBECONFIG, CLUSTER_IMAGE"
        )
    return image


def wait_for_namespace(name: str) -> None:
    """Wait for what the cluster itself puts into a namespace, a little later."""
    own = ("serviceaccount/default", "configmap/kube-root-ca.crt")
    until(lambda: len(kubectl("get", "-n", name, "--ignore-not-found", "-o", "name", *own).split()) == len(own))


@contextmanager
def namespace() -> Iterator[str]:
    """Create a namespace with the strictest Pod Security, and delete it afterwards."""
    name = f"renderer-{secrets.token_hex(4)}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("create", "-f", "-", content=json.dumps(manifest))
    try:
        wait_for_namespace(name)
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


class KubernetesRig(Rig):
    """Renders in the image: it has other fonts than this machine."""

    def plain(self, file: Path, *scenes: str, folder: Path) -> dict[str, Path]:
        """Run Manim's own command line in a pod, and return the video of each scene."""
        shutil.copytree(file.parent, folder / "source")
        (folder / "source" / "plain.py").write_text(PLAIN)
        job = self.submit(folder / "source" / "plain.py", kind="script", arguments=(file.name, *scenes))
        assert job.wait(600).state is JobState.SUCCEEDED, job.status()
        job.fetch(folder / "media")
        found = {path.stem: path for path in (folder / "media" / "videos").rglob("*.mp4") if path.stem in scenes}
        assert set(found) == set(scenes)
        return found


def push_foreign_image(kind: str) -> str:
    """Make an image, push it to the registry of the tests' own cluster, and return its name there."""
    made, (inside, outside) = make_foreign_image(kind), os.environ["REGISTRY_FOR_TESTS"].split()
    name = f"foreign:{made.rpartition(':')[2]}"
    push = ["buildah", "push", "--quiet", "--tls-verify=false", "--disable-compression", made]
    subprocess.run([*push, f"docker://{outside}/{name}"], check=True)
    return f"{inside}/{name}"


@contextmanager
def kubernetes(folder: Path) -> Iterator[Rig]:
    """Yield a rig with pods so small that a small machine runs two at a time."""
    image = require_cluster()
    with namespace() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        yield KubernetesRig(
            "k8s",
            {"k8s.namespace": name, "image": image, "cpu": 0.5, "memory": "2Gi", "k8s.ephemeral_storage": "1Gi"},
            push_foreign_image if "REGISTRY_FOR_TESTS" in os.environ else None,
        )


def write_kubeconfig(path: Path, server: str = "http://127.0.0.1:9", context: str = "one", **user: Any) -> Path:
    """Write a kubeconfig whose one user has these credentials."""
    content = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u", "namespace": "video"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"{server}/"}}],
        "users": [{"name": "u", "user": user}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def copy_kubeconfig(folder: Path, namespace: str, **user: str) -> Path:
    """Write the administrator's kubeconfig with a namespace and the credentials of another user."""
    content = yaml.safe_load(kubectl("config", "view", "--raw", "--flatten", "--minify"))
    content["users"] = [{"name": content["users"][0]["name"], "user": user}]
    content["contexts"][0]["context"]["namespace"] = namespace
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def create_bucket() -> None:
    """Create the bucket ``renders`` on the S3 server of the environment, unless it exists."""
    import obstore
    import urllib3

    try:
        Storage("s3://renders").put_bytes("exists", b"")
    except BackendError:
        store: Any = Storage("s3://renders")._store
        answer = urllib3.request("PUT", obstore.sign(store, "PUT", "", timedelta(minutes=1)))
        assert answer.status == 200, answer.data


def create_secret(namespace: str, name: str, **values: str) -> None:
    """Create a Secret, or update it."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": data}
    kubectl("apply", "-f", "-", content=json.dumps(body))


def make_bucket_settings(namespace: str, image: str, store: str) -> dict[str, str]:
    """Create the Secret of a bucket; return variables for small jobs of a server that has it."""
    create_secret(namespace, "s3-keys", **{key: value for key, value in os.environ.items() if key.startswith("AWS_")})
    return {
        "RENDERER_BACKEND": "k8s",
        "RENDERER_K8S_NAMESPACE": namespace,
        "RENDERER_IMAGE": image,
        "RENDERER_STORE": store,
        "RENDERER_K8S_STORE_SECRET": "s3-keys",
        "RENDERER_GPU": "none",
        "RENDERER_CPU": "0.1",
        "RENDERER_MEMORY": "2Gi",
        "RENDERER_K8S_EPHEMERAL_STORAGE": "1Gi",
    }


def create_claim(namespace: str, folder: Path) -> str:
    """Create a PVC on a folder of this machine, and return its name. Its volume is NAMESPACE-NAME."""
    name = f"claim-{folder.name}".replace("_", "-")
    volume = f"{namespace}-{name}"
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": ""}
    objects = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {**spec, "hostPath": {"path": str(folder)}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "",
                "volumeName": volume,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
    ]
    kubectl("apply", "-f", "-", content=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return name


def list_objects(namespace: str) -> list[str]:
    """Return the names of all objects of a namespace, without events."""
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "bindings"))]
    items = get(",".join(kinds), "-n", namespace)["items"]
    return sorted(f"{item['kind']}/{item['metadata']['name']}" for item in items)
